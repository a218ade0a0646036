"""ECCV Caption and CxC against the metric code of the package that publishes them."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import InputError, MissingExtraError
from rerankit.tasks import task


def write_plausible_matches(package: Any, folder: Path) -> None:
    """PMRP's files in their layout. The published ones are not in the package: its other judgements, put together
    with those of the next picture, stand in for them."""
    known, theirs = package.Metrics(), {}
    for way, name in (("i2t", "image_to_caption"), ("t2i", "caption_to_image")):
        queries = list(known.coco_gts[way])
        for query, after in zip(queries, queries[1:] + queries[:1], strict=True):
            sets = (known.coco_gts[way][query], known.cxc_gts[way].get(query, []), known.coco_gts[way][after])
            theirs[query] = sorted({item for each in sets for item in each})
        (folder / f"pm_{name}.json").write_text(json.dumps({query: theirs.pop(query) for query in queries}))


@pytest.mark.slow
def test_figures_agree_with_the_package(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("eccv_caption")
    write_plausible_matches(package, tmp_path)
    theirs = package.Metrics(extra_file_dir=str(tmp_path))
    benchmark = task("eccv-caption").load(tmp_path)
    matrix = benchmark.matrices["scores"]
    assert matrix.shape == (5000, 25_000)
    # Noise with a push for the right pairs, so that figures are far from 0 and 1.
    rng = np.random.default_rng(0)
    scores = rng.random(matrix.shape, dtype=np.float32)
    own = next(part for part in benchmark.parts if part.name == "cxc/text-to-image").relevance
    queries = next(part for part in benchmark.parts if part.name == "cxc/text-to-image").queries
    scores[own.indices, queries[own.rows]] += 0.9995
    problem = Problem(scores)
    ranked = {"i2t": problem.ranking(120), "t2i": problem.reversed().ranking(120)}
    sides = {"i2t": (matrix.query_ids, matrix.gallery_ids), "t2i": (matrix.gallery_ids, matrix.query_ids)}
    found = {
        way: dict(zip(sides[way][0], np.array(sides[way][1])[ranking.indices].tolist(), strict=True))
        for way, ranking in ranked.items()
    }
    results = {part.name: benchmark.evaluate(part, benchmark.problem(part, problem)) for part in benchmark.parts}
    ways = {"i2t": "image-to-text", "t2i": "text-to-image"}
    for name, function in (("coco", theirs.coco_5k_recalls), ("cxc", theirs.cxc_recalls)):
        for k in (1, 5, 10):
            wanted = function(found, "all", K=k)
            for way, long in ways.items():
                assert results[f"{name}/{long}"][f"success@{k}"] == pytest.approx(wanted[way]), (name, way, k)
    wanted = theirs.pmrp(found, "all")
    for way, long in ways.items():
        assert 0.01 < wanted[way] < 0.99
        assert results[f"pm/{long}"]["r_precision"] == pytest.approx(wanted[way]), way
    # Two captions that ECCV judged are not among the 25,000, so that nobody can find them.
    known = set(matrix.gallery_ids)
    theirs.eccv_gts["i2t"] = {q: [c for c in right if c in known] for q, right in theirs.eccv_gts["i2t"].items()}
    wanted = theirs.eccv_metrics(found, "all")
    for key, metric in (("eccv_map_at_r", "map_at_r"), ("eccv_rprecision", "r_precision"), ("eccv_r1", "success@1")):
        for way, long in ways.items():
            assert results[f"eccv/{long}"][metric] == pytest.approx(wanted[key][way]), (key, way)


@pytest.mark.filterwarnings("ignore")
def test_the_package_has_all_it_takes(tmp_path: Path) -> None:
    pytest.importorskip("eccv_caption", reason="the judgements come with eccv-caption", exc_type=ImportError)
    benchmark = task("eccv-caption").load(tmp_path)
    counts = {part.name: part.relevance.shape[0] for part in benchmark.parts}
    assert counts["eccv/image-to-text"] == 1261
    assert counts["eccv/text-to-image"] == 1332
    assert counts["cxc/text-to-image"] == 24_972


def test_without_the_package_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eccv_caption", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rerankit\[eccv\]'"):
        task("eccv-caption").load(tmp_path)


def test_pmrp_needs_its_two_files(tmp_path: Path) -> None:
    small = task("eccv-caption").write_miniature(tmp_path)
    assert "pm/image-to-text" in {part.name for part in small.load(tmp_path).parts}
    (tmp_path / "pm_caption_to_image.json").unlink()
    assert "pm/image-to-text" not in {part.name for part in small.load(tmp_path).parts}


def test_judgements_of_unknown_queries_are_refused(tmp_path: Path) -> None:
    small = task("eccv-caption").write_miniature(tmp_path)
    path = tmp_path / "cxc_image_to_caption.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "77": [900]}))
    with pytest.raises(InputError, match=r"must judge known queries \(got 1 unknown\)"):
        small.load(tmp_path)
    with pytest.raises(InputError, match="unknown source '"):
        task("eccv-caption", source="web")
