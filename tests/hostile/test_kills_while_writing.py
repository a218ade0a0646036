"""A kill at every step of a write: the old one or the new one is there, whole, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import killed_before

import rerankit
from rerankit import Pipeline, Problem, Ranking
from rerankit.files import check_place, clear_leftovers, switching
from rerankit.pipelines.storage import save

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def problem(number: int) -> Problem:
    return Problem(np.full((2, 3), float(number)), query_ids=[f"{number}a", f"{number}b"])


def ranking(number: int) -> Ranking:
    return Ranking([[0, 1]], [[number + 1.0, number]], query_ids=["q"], gallery_ids=["a", "b"])


def pipeline(number: int) -> Pipeline:
    bank = np.full((1, 4), float(number))
    return Pipeline([rerankit.stage("mutual-rank", bank=bank), rerankit.stage("csls", neighbours=number + 1)])


class Written:
    """Something written, and how to tell which of two it is."""

    def __init__(self, name: str, write: Callable[[Path, int], Any], number: Callable[[Path], int]) -> None:
        self.name, self.write, self.number = name, write, number


def with_training(path: Path, number: int) -> None:
    training = path / "training" / "checkpoint.pt"
    if not path.exists():
        training.parent.mkdir(parents=True)
        training.write_text("the run")
    save(pipeline(number), path, overwrite=True, keep="training")


def number_with_training(path: Path) -> int:
    number = number_of_pipeline(path)  # before it is looked into: where folders step aside, a reader puts it back
    assert (path / "training" / "checkpoint.pt").read_text() == "the run"
    return number


def number_of_problem(path: Path) -> int:
    found = rerankit.read(path, "problem")
    number = int(found.scores.rows()[0, 0])
    if found.query_ids is not None and not path.name.endswith(".npy"):
        assert found.query_ids.tolist() == problem(number).query_ids.tolist()
    np.testing.assert_array_equal(found.scores.rows(), problem(number).scores.rows())
    return number


def number_of_ranking(path: Path) -> int:
    found = rerankit.read(path, "ranking")
    number = int(found.scores[0, 1])
    assert found.to_dict() == ranking(number).to_dict()
    return number


def number_of_pipeline(path: Path) -> int:
    loaded = rerankit.load(path)
    number = int(loaded.stages[1].neighbours) - 1
    assert loaded == pipeline(number)
    return number


KINDS = [
    *(Written(name, lambda path, n: rerankit.write(path, problem(n), overwrite=True), number_of_problem)
      for name in ("folder", "a.npz", "a.safetensors")),
    Written("a.npy", lambda path, n: rerankit.write(path, problem(n).scores.rows(), overwrite=True), number_of_problem),
    *(Written(name, lambda path, n: rerankit.write(path, ranking(n), overwrite=True), number_of_ranking)
      for name in ("a.run", "a.run.gz", "a.json", "a.csv")),
    Written("pipeline", lambda path, n: pipeline(n).save(path, overwrite=True), number_of_pipeline),
    Written("fitted", with_training, number_with_training),
]  # fmt: skip


_STEPS = {False: 30, True: 70}  # more than each takes, so that some of the writes come to their end


@pytest.mark.parametrize("aside", [False, True], ids=["exchanged", "stepping aside"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_old_or_new_and_nothing_else(
    kind: Written, aside: bool, tmp_path: Path, amount, rng, tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    if aside and "." in kind.name:
        pytest.skip("only folders can step aside")
    if aside:
        monkeypatch.setattr(switching, "exchange", lambda one, other: False)
    place = tmp_path / kind.name
    kind.write(place, 0)
    chosen, there = rng.integers(1, _STEPS[kind.name in ("pipeline", "fitted")], amount(4, 60)).tolist(), 0
    for step in chosen:
        killed = killed_before(step, lambda there=there: kind.write(place, 1 - there))
        found = kind.number(place)  # the next start: it reads, and it writes beside
        assert found in ((0, 1) if killed else (1 - there,))
        there = found
        clear_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [kind.name]
    tried("kills while writing", len(chosen))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "fitted"], ids=lambda kind: kind.name)
def test_a_first_write_is_there_or_not(kind: Written, tmp_path: Path, amount, rng, tried) -> None:
    place, step = tmp_path / kind.name, 1
    while killed_before(step, lambda: kind.write(place, 1)):
        if place.exists():
            assert kind.number(place) == 1
        clear_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] in ([], [kind.name])
        if place.exists():
            break
        step += 1 if amount(0, 1) else int(rng.integers(3, 20))
        tried("kills while writing", 1)
    assert kind.number(place) == 1


def test_trying_a_place_leaves_nothing(tmp_path: Path, tried) -> None:
    step = 1
    while killed_before(step, lambda: check_place(tmp_path / "new" / "run.npz")):
        assert list(tmp_path.iterdir()) == []
        step += 1
    assert step > 1
    tried("kills while writing", step - 1)


def test_the_cache_of_image_tokens(tmp_path: Path, amount, rng, tried) -> None:
    from rerankit.feature_cache import FeatureCache

    def tokens(number: int) -> np.ndarray:
        return np.full((4, 8), number, np.float16)

    def fill() -> None:
        cache = FeatureCache(tmp_path / "cache", "0" * 16, max_bytes=3000)
        for number in range(12):
            cache.put(f"{number % 3:02x}{number:062x}", tokens(number))

    fill()
    for _ in range(amount(3, 40)):
        killed_before(int(rng.integers(1, 300)), fill)
        cache = FeatureCache(tmp_path / "cache", "0" * 16, max_bytes=3000)
        for number in range(12):
            found = cache.get(f"{number % 3:02x}{number:062x}")
            assert found is None or (found == number).all()
        cache.put("ff" * 32, tokens(77))  # the next start
        assert not list((tmp_path / "cache").glob("**/.rerankit-*"))
        size = sum(file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file())
        assert size <= 3000
        tried("kills of the token cache", 1)
