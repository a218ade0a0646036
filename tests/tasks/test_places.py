"""Market-1501 and revisited Oxford and Paris."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import InputError
from rerankit.tasks import task


def market(folder: Path, queries: list[str], gallery: list[str]) -> None:
    for name, files in (("query", queries), ("bounding_box_test", gallery)):
        (folder / name).mkdir()
        for file in files:
            (folder / name / file).touch()


def test_market_leaves_out_junk_and_the_own_camera(tmp_path: Path) -> None:
    gallery = [
        "-1_c1s1_000001_00.jpg",  # junk
        "0000_c2s1_000002_00.jpg",  # a distractor, which counts as wrong
        "0007_c1s1_000003_00.jpg",  # the query's camera
        "0007_c2s1_000004_00.jpg",  # right
        "0008_c2s1_000005_00.jpg",
    ]
    market(tmp_path, ["0007_c1s1_000009_00.jpg"], gallery)
    (tmp_path / "query" / "Thumbs.db").touch()
    benchmark = task("market1501", queries=1, gallery=5).load(tmp_path)
    (part,) = benchmark.parts
    scores = np.array([[5, 3, 4, 2, 1]], np.float32)
    problem = benchmark.problem(part, Problem(scores))
    assert problem.shape == (1, 4)
    result = benchmark.evaluate(part, problem)
    assert result["map"] == 0.5
    assert result["success@1"] == 0.0
    assert result["success@5"] == 1.0


def test_market_refuses_misnamed_pictures(tmp_path: Path) -> None:
    market(tmp_path, ["0007_c1s1_000009_00.jpg"], ["7.jpg", "8.jpg"])
    with pytest.raises(InputError, match=r"must name pictures like .* \(got 2 of 2 that do not, such as \['7.jpg'"):
        task("market1501", queries=None, gallery=None).load(tmp_path)
    task("market1501").write_miniature(tmp_path / "small")
    with pytest.raises(InputError, match=r"must hold 3368 queries"):
        task("market1501").load(tmp_path / "small")


def revisited_naive(ranks: list[int], k: int) -> tuple[float, float]:
    """Average precision by trapezoids and precision at k, as the benchmark's own paper defines them."""
    area = 0.0
    for found, rank in enumerate(ranks):
        before = 1.0 if rank == 0 else found / rank
        area += (before + (found + 1) / (rank + 1)) / 2 / len(ranks)
    cut = min(max(ranks) + 1, k)
    return area, sum(rank < cut for rank in ranks) / cut


def test_revisited_settings(tmp_path: Path) -> None:
    truth = {
        "gnd": [{"bbx": [], "easy": [0, 3], "hard": [5], "junk": [1]}],
        "imlist": list("abcdefgh"),
        "qimlist": ["q"],
    }
    (tmp_path / "gnd_roxford5k.json").write_text(json.dumps(truth))
    benchmark = task("roxford5k", queries=1, gallery=8).load(tmp_path)
    scores = np.array([[8, 7, 6, 5, 4, 3, 2, 1]], np.float32)
    # Places among what is left: easy leaves out 1 and 5, medium 1, hard 0, 1 and 3.
    ranks = {"easy": [0, 2], "medium": [0, 2, 4], "hard": [2]}
    for part in benchmark.parts:
        result = benchmark.evaluate(part, scores)
        for k in (1, 5, 10):
            area, precision = revisited_naive(ranks[part.name], k)
            assert result["map_trapezoid"] == pytest.approx(area)
            assert result[f"precision_found@{k}"] == pytest.approx(precision)


def test_ground_truth_as_json_is_part_of_the_checksum(tmp_path: Path) -> None:
    small = task("roxford5k").write_miniature(tmp_path)
    truth = {"gnd": [{"easy": [0], "hard": [], "junk": []}] * 5, "imlist": list(range(20)), "qimlist": list(range(5))}
    sums = [small.load(tmp_path).checksum]
    for item in (0, 1):
        truth["gnd"] = [{"easy": [item], "hard": [], "junk": []}] * 5
        (tmp_path / "gnd_roxford5k.json").write_text(json.dumps(truth))
        sums.append(small.load(tmp_path).checksum)
    assert len(set(sums)) == 3


def test_queries_without_anything_right_are_left_out(tmp_path: Path) -> None:
    benchmark = task("roxford5k").write_miniature(tmp_path).load(tmp_path)
    skipped = {part.name: benchmark.evaluate(part, np.zeros((5, 20))).skipped for part in benchmark.parts}
    assert skipped == {"easy": 0, "medium": 0, "hard": 1}


class Evil:
    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (print, ("code ran",))


@pytest.mark.parametrize("content", [pickle.dumps({"gnd": [Evil()]}), b"not a pickle", pickle.dumps([1])[:-3]])
def test_pickles_are_only_data(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gnd_rparis6k.pkl").write_bytes(content)
    with pytest.raises(InputError, match="not a pickle of plain data"):
        task("rparis6k").load(tmp_path)
    assert capsys.readouterr().out == ""


def test_arrays_in_pickles_are_data(tmp_path: Path) -> None:
    truth = {
        "gnd": [{"bbx": np.zeros(4), "easy": np.array([0]), "hard": np.array([1]), "junk": np.array([], int)}],
        "imlist": ["a", "b", "c"],
        "qimlist": ["q"],
    }
    (tmp_path / "gnd_rparis6k.pkl").write_bytes(pickle.dumps(truth))
    benchmark = task("rparis6k", queries=1, gallery=3).load(tmp_path)
    assert benchmark.parts[1].relevance.of(0).items.tolist() == [0, 1]
