"""Drives whose places are known, the conformance kit, and the hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rerankit_places
from rerankit import Looks, Problem, errors, evaluate, rerank
from rerankit.testing import STAGE_CHECKS, make_problem
from rerankit_places.sequence import Frames, Sequence


def problem_with_drives(queries: int, gallery: int, seed: int) -> Problem:
    random = np.random.default_rng(seed)

    def drives(count: int) -> np.ndarray[Any, Any]:
        return np.stack([np.arange(count) % 2, random.permutation(count)], axis=1)

    return make_problem(queries, gallery, seed).with_features(
        query_features={"sequence": drives(queries)}, gallery_features={"sequence": drives(gallery)}
    )


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Any) -> None:
    check(lambda: Sequence(radius=2), problem_with_drives)


def naive(scores: Any, queries: Any, gallery: Any, around: range, speeds: Any) -> Any:
    """One pair of frames after the other."""
    found = np.empty(scores.shape)
    rows = {tuple(each): at for at, each in enumerate(queries.tolist())}
    columns = {tuple(each): at for at, each in enumerate(gallery.tolist())}
    for (drive, frame), row in rows.items():
        for (other, place), column in columns.items():
            means = []
            for speed in speeds:
                pairs = [
                    (rows.get((drive, frame + step)), columns.get((other, place + int(np.floor(step * speed + 0.5)))))
                    for step in around
                ]
                means.append(np.mean([scores[a, b] for a, b in pairs if a is not None and b is not None]))
            found[row, column] = max(means)
    return found


@pytest.mark.parametrize("past", [False, True])
def test_scores_are_means_along_the_drive(past: bool) -> None:
    problem = problem_with_drives(9, 12, 3)
    queries, gallery = (np.asarray(side["sequence"]) for side in (problem.query_features, problem.gallery_features))
    found = rerank(problem, Sequence(radius=2, past=past, speeds=(0.5, 1, 2)), k=None)
    around = range(-2, 1) if past else range(-2, 3)
    expected = naive(problem.scores.rows(), queries, gallery, around, (0.5, 1, 2))
    np.testing.assert_allclose(found.scores, np.take_along_axis(expected, found.indices, axis=1), rtol=1e-5)


def test_a_second_drive_is_found_in_the_first() -> None:
    random = np.random.default_rng(0)
    places = random.normal(size=(200, 24))
    again = places[20:120] + 2.0 * random.normal(size=(100, 24))
    problem = Problem.from_embeddings(
        again,
        places,
        query_features={"sequence": [[7, frame] for frame in range(100)]},
        gallery_features={"sequence": [[3, frame] for frame in range(200)]},
    )
    right = [[row + 20] for row in range(100)]
    before = evaluate(problem, right, "success@1")["success@1"]
    for stage in (Sequence(), Sequence(past=True)):
        assert evaluate(rerank(problem, stage), right, "success@1")["success@1"] > before + 0.2
    assert Sequence().looks_at() == Looks(queries=True)


def test_frames_are_found_in_their_own_drive() -> None:
    frames = Frames([[0, 5], [0, 6], [1, 5], [0, 8]], "query")
    assert frames.moved(np.array([0, 2]), np.array([-1, 0, 1, 3])).tolist() == [[-1, 0, 1, 3], [-1, 2, -1, -1]]


@pytest.mark.parametrize(
    ("drives", "told"),
    [
        ([[0, 1], [0, 1]], "each frame of a drive once"),
        ([0, 1], "two whole numbers"),
        ([[0, 0.5], [0, 1]], "two whole"),
    ],
)
def test_drives_that_are_none(drives: Any, told: str) -> None:
    problem = Problem(np.eye(2), query_features={"sequence": drives}, gallery_features={"sequence": [[0, 0], [0, 1]]})
    with pytest.raises(errors.StageError, match=told):
        rerank(problem, Sequence())


def test_bad_parameters_are_refused() -> None:
    for bad, told in [({"radius": 0}, "'radius' must be at least 1"), ({"speeds": []}, "'speeds' must be a list")]:
        with pytest.raises(errors.InputError, match=told):
            Sequence(**bad)


def test_the_hooks_register_these_names() -> None:
    names: dict[str, str] = {}
    rerankit_places.rerankit_register_stages(names.__setitem__)
    assert set(names) == {"sequence", "geometric-check"}
