"""DrillDown's files: regions in each of their forms, descriptions, splits, and what is refused."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import FormatError
from rerankit.tasks import task
from rerankit.tasks.region_files import RegionFiles, read_regions
from rerankit.tasks.visual_genome import plot_rounds, read_descriptions


@pytest.fixture
def data(tmp_path: Path) -> Path:
    task("visual-genome").write_miniature(tmp_path)
    return tmp_path


def small(**changes: Any) -> Any:
    return task("visual-genome", **{"images": None, **changes})


def test_every_round_knows_one_description_more(data: Path) -> None:
    benchmark = small().load(data)
    assert [part.name for part in benchmark.parts] == [f"round-{t:02d}" for t in range(1, 11)]
    for t, matrix in enumerate(benchmark.matrices.values(), start=1):
        assert all(len(search) == t for search in matrix.query_features["text"])
    regions = matrix.gallery_features["regions"]
    values, counts = regions.take(np.array([3, 1])).block(slice(0, 2))
    assert values.shape == (2, 36, 48)
    assert counts.tolist() == [10, 10]


def test_the_published_number_of_images_is_asserted(data: Path) -> None:
    with pytest.raises(FormatError, match=r"must hold 9896 images \(got 12\); for another number, .* set 'images'"):
        task("visual-genome").load(data)


def test_regions_in_each_form_of_file(tmp_path: Path) -> None:
    regions = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / "a.npz", region_feats=regions)
    np.save(tmp_path / "b.npy", regions)
    (tmp_path / "c.npy").write_bytes(pickle.dumps({"region_feats": regions, "region_clses": np.zeros(2)}, protocol=2))
    for name in ("a.npz", "b.npy", "c.npy"):
        assert read_regions(tmp_path / name).tolist() == regions.tolist()
    (tmp_path / "d.npy").write_bytes(pickle.dumps({"region_feats": os.system}))
    with pytest.raises(FormatError, match=r"system', which is not data"):
        read_regions(tmp_path / "d.npy")
    np.savez(tmp_path / "e.npz", other=regions)
    with pytest.raises(FormatError, match="region_feats"):
        read_regions(tmp_path / "e.npz")
    np.save(tmp_path / "f.npy", regions[0])
    with pytest.raises(FormatError, match=r"\(regions, dim\)"):
        read_regions(tmp_path / "f.npy")


def test_descriptions_are_different_lower_case_and_in_order(tmp_path: Path) -> None:
    phrases = [(5, "A Dog"), (2, "the sky"), (9, "a dog"), (7, " ")]
    regions = [{"region_id": number, "phrase": text} for number, text in phrases]
    (tmp_path / "vg/rg_jsons").mkdir(parents=True)
    (tmp_path / "vg/rg_jsons/4.json").write_text(json.dumps({"regions": regions}))
    assert read_descriptions(tmp_path, [4], least=2) == [["the sky", "a dog"]]
    with pytest.raises(FormatError, match=r"must have 3 different descriptions an image \(got 1 of 1"):
        read_descriptions(tmp_path, [4], least=3)
    with pytest.raises(FormatError, match=r"a file for each image \(got 1 of 2 that do not, such as \[5\]"):
        read_descriptions(tmp_path, [4, 5], least=1)


def test_missing_and_bad_region_files(data: Path) -> None:
    numbers = [int(path.stem) for path in sorted((data / "vg/region_36_final").iterdir())][:3]
    file = data / f"vg/region_36_final/{numbers[1]:012d}.npz"
    for bad, message in (
        (np.ones((37, 48)), "1 to 36 regions of width 48"),
        (np.ones((3, 7)), "width 48"),
        (np.full((3, 48), np.nan), rf"finite \(got 1 of 3 that do not, such as \[{numbers[1]}\]"),
    ):
        np.savez(file, region_feats=bad)
        with pytest.raises(FormatError, match=message):
            RegionFiles(data, numbers).block(slice(0, 3))
    file.unlink()
    with pytest.raises(FormatError, match=rf"a file for each image \(got 1 of 3 that do not, such as \[{numbers[1]}\]"):
        RegionFiles(data, numbers)


def test_a_bad_split(data: Path) -> None:
    (data / "caches/vg_test.txt").write_text("17\nx\n")
    with pytest.raises(FormatError, match="image numbers, one a line"):
        small().load(data)
    (data / "caches/vg_test.txt").write_text("17\n17\n")
    with pytest.raises(FormatError, match="an image once"):
        small().load(data)


def test_a_picture_of_the_rounds(data: Path, tmp_path: Path) -> None:
    benchmark = small(rounds=3).load(data)
    scores = np.random.default_rng(0).random((12, 12))
    results = {part.name: benchmark.evaluate(part, Problem(scores)) for part in benchmark.parts}
    plot_rounds({"random": benchmark.task.summary(results, benchmark.parts)}, tmp_path / "rounds.png")
    assert (tmp_path / "rounds.png").read_bytes()[:4] == b"\x89PNG"
