"""PinPoint: figures by counting, one query after the other; files that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Problem
from rerankit.bench import bench
from rerankit.errors import InputError
from rerankit.tasks import task

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def table(tmp_path: Path) -> list[dict[str, Any]]:
    return parquet.read_table(tmp_path / "pinpoint_licensed.parquet").to_pylist()


def rewrite(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "pinpoint_licensed.parquet")


def precision(found: list[str], right: list[str], k: int) -> float:
    return sum(name in right for name in found[:k]) / k


def average_precision(found: list[str], right: list[str], k: int) -> float:
    total = sum(precision(found, right, place + 1) for place in range(min(k, len(found))) if found[place] in right)
    return total / min(len(right), k)


def test_figures_are_those_of_counting(tmp_path: Path) -> None:
    benchmark = task("pinpoint").write_miniature(tmp_path).load(tmp_path)
    names = benchmark.matrices["scores"].gallery_ids
    rows = table(tmp_path)
    scores = np.random.default_rng(5).random((12, 50), dtype=np.float32)
    for row, each in enumerate(rows):  # a system that is better than chance, and likes what is wrong
        for name in (*each["positive_candidates"], *each["negative_candidates"]):
            scores[row, names.index(name)] += 0.5
    results = {
        part.name: benchmark.evaluate(part, benchmark.problem(part, Problem(scores))) for part in benchmark.parts
    }
    summary = benchmark.task.summary(results, benchmark.parts)
    lists = [[names[item] for item in np.argsort(-scores[row])] for row in range(12)]
    right = [each["positive_candidates"] for each in rows]
    wrong = [each["negative_candidates"] for each in rows]
    clean = [[name for name in found if name not in bad] for found, bad in zip(lists, wrong, strict=True)]
    two = [row for row in range(12) if rows[row]["query_image_signature2"]]
    ten = [precision(found, good, 10) for found, good in zip(lists, right, strict=True)]
    pictures = [(each["query_image_signature"], each["query_image_signature2"]) for each in rows]
    spreads = [np.ptp([ten[row] for row in range(12) if pictures[row] == pair]) for pair in set(pictures)]
    expected = {
        "pinpoint/map@10": np.mean([average_precision(*each, 10) for each in zip(lists, right, strict=True)]),
        "pinpoint/precision@10": np.mean(ten),
        "two-pictures/precision@10": np.mean([ten[row] for row in two]),
        "without-negatives/map@10": np.mean([average_precision(*each, 10) for each in zip(clean, right, strict=True)]),
        "negatives/neg_recall@10": np.mean(
            [
                sum(name in bad for name in found[:10]) / min(len(bad), 10)
                for found, bad in zip(lists, wrong, strict=True)
            ]
        ),
        "spread of precision@10": np.mean(spreads),
    }
    assert len(two) == 6
    for name, value in expected.items():
        assert summary[name] == pytest.approx(value), name
    assert summary["without-negatives/map@10"] > summary["pinpoint/map@10"]


def test_the_ceiling_has_wrong_pictures_last(tmp_path: Path) -> None:
    benchmark = task("pinpoint").write_miniature(tmp_path).load(tmp_path)
    scores = np.random.default_rng(5).random((12, 50), dtype=np.float32)
    (result,) = bench(benchmark, scores, "mutual-rank", k=40)
    assert result.summary["ceiling"]["negatives/neg_recall@10"] == 0
    assert result.summary["ceiling"]["pinpoint/map@10"] > 0.6
    assert next(part for part in result.parts if part.name == "negatives").examples == ()


def test_what_a_release_may_hold(tmp_path: Path) -> None:
    task("pinpoint").write_miniature(tmp_path)
    rows = table(tmp_path)
    for row, nothing in enumerate(("None", "", "nan")):
        rows[row]["query_image_signature2"] = nothing
    rows[4]["positive_candidates"] = []
    rows[5]["negative_candidates"] = None
    rewrite(tmp_path, rows)
    benchmark = task("pinpoint", gallery=50, queries=12).load(tmp_path)
    assert benchmark.matrices["scores"].query_features["second_reference"][:3] == ["", "", ""]
    whole = benchmark.parts[0]
    assert benchmark.evaluate(whole, np.zeros((12, 50), np.float32)).per_query["map@10"][4] == 0
    with pytest.raises(InputError, match="must hold 109599 pictures"):
        task("pinpoint").load(tmp_path)


@pytest.mark.parametrize(
    ("change", "told", "lenient"),
    [
        ({"positive_candidates": ["elsewhere"]}, "must judge pictures of index_signatures.txt, or set 'strict'", True),
        ({"both": True}, "must not name a picture as right and as wrong", True),
        ({"query_id": "00001"}, "must name a query once", False),
        ({"instruction": None}, "'instruction' of row 0 must be a text", False),
        ({"positive_candidates": [None]}, "a value of 'positive_candidates' of row 0 must be a text", False),
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, Any], told: str, lenient: bool) -> None:
    task("pinpoint").write_miniature(tmp_path)
    rows = table(tmp_path)
    if change.pop("both", False):
        change = {"positive_candidates": rows[0]["negative_candidates"][:2]}
    rows[0].update(change)
    rewrite(tmp_path, rows)
    with pytest.raises(InputError, match=told):
        task("pinpoint", gallery=50, queries=12).load(tmp_path)
    loose = task("pinpoint", gallery=50, queries=12, strict=False)
    if lenient:
        assert loose.load(tmp_path).parts[-1].name == "negatives"
    else:
        with pytest.raises(InputError, match=told):
            loose.load(tmp_path)
    rewrite(tmp_path, [{name: value for name, value in row.items() if name != "instruction"} for row in rows])
    with pytest.raises(InputError, match="must have the column 'instruction'"):
        loose.load(tmp_path)


def test_damaged_bytes_are_told(tmp_path: Path) -> None:
    small = task("pinpoint").write_miniature(tmp_path)
    path = tmp_path / "pinpoint_licensed.parquet"
    whole = path.read_bytes()
    for bytes_ in (whole[:-9], b"", b"PAR1" + b"\xff" * 200 + b"PAR1", whole[:200] + b"\xff" * 90 + whole[290:]):
        path.write_bytes(bytes_)
        with pytest.raises(InputError, match=r"parquet: (damaged or not a Parquet file|must|'|a value)"):
            small.load(tmp_path)
    rows = [{"query_id": "1", "query_image_signature": "a", "query_image_signature2": None, "instruction": "b",
             "positive_candidates": "abc", "negative_candidates": "abc"}]  # fmt: skip
    rewrite(tmp_path, rows)
    with pytest.raises(InputError, match="'positive_candidates' of row 0 must be a list"):
        small.load(tmp_path)
