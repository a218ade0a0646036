"""Numbers at the edge of what is taken, given to every stage: each answer is right, and none of them warns.

What lies beyond the edge is refused before a stage sees it (`tests/scores`), and a stage whose own scores are beyond
what float32 holds is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rerankit
import test_conformance as conformance
from rerankit import Bank, Problem, Ranking
from rerankit.errors import InputError, RerankitWarning, StageError
from rerankit.scores import EmbeddingScores, ListScores
from rerankit.testing import StageCase
from rerankit.testing.problems import rebuilt
from rerankit.testing.scales import first_difference

QUERIES, GALLERY = 12, 16
LARGE = np.float32(1e15)
Change = Callable[[np.ndarray], Any]
METRICS = ("cosine", "dot", "euclidean")
UNSCALED = ("query_scores", "gallery_scores", "query_bank", "gallery_bank")
EXPONENTS = (-110, -60, -40, -24, 24, 40, 47)
OF_VECTORS = (-50, -24, 10, 20)


def changed(problem: Problem, change: Change) -> Problem:
    """The problem with every matrix changed."""

    def of(scores: Any) -> Any:
        return None if scores is None else change(scores.rows().copy())

    def of_bank(bank: Bank | None) -> Bank | None:
        parts = ("to_gallery", "to_queries", "to_bank")
        return None if bank is None else Bank(**{name: of(getattr(bank, name)) for name in parts})

    relations = {name: of(getattr(problem, name)) for name in ("scores", "query_scores", "gallery_scores")}
    return rebuilt(problem, **relations, **{n: of_bank(getattr(problem, n)) for n in ("query_bank", "gallery_bank")})


def times(exponent: int) -> Change:
    return lambda matrix: np.ldexp(matrix, exponent)


def cells(value: float, rows: Any = 0, columns: Any = 0) -> Change:
    def change(matrix: np.ndarray) -> np.ndarray:
        matrix[rows, columns] = value
        return matrix

    return change


def whole(dtype: Any) -> Change:
    """Whole numbers in this type, from its lowest on."""
    start = max(np.iinfo(dtype).min, -(2**20)) if np.dtype(dtype).kind in "iu" else -1024
    return lambda matrix: (np.rint((matrix - matrix.min()) * 20).astype(np.int64) + start).astype(dtype)


def np_matrix(matrix: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(matrix)


EDGES: dict[str, Change] = {
    "all zero": lambda matrix: matrix * 0,
    "all +1e15": lambda matrix: np.full_like(matrix, LARGE),
    "all −1e15": lambda matrix: np.full_like(matrix, -LARGE),
    "half +1e15, half −1e15": lambda matrix: np.where(matrix > np.median(matrix), LARGE, -LARGE),
    "one cell 1e15": cells(LARGE),
    "one cell −1e15": cells(-LARGE),
    "a row of 1e15": cells(LARGE, 1, slice(None)),
    "a row of −1e15": cells(-LARGE, 1, slice(None)),
    "a column of 1e15": cells(LARGE, slice(None), 2),
    "a column of −1e15": cells(-LARGE, slice(None), 2),
    **{f"pairs marked with {mark:g}": cells(mark, slice(None, None, 2), 1) for mark in (-1e4, -1e9, -1e15)},
    "beside 1e14": lambda matrix: np.where(np.arange(matrix.shape[1]) % 2, matrix, matrix * np.float32(1e14)),
    "beside 1e-35": lambda matrix: np.where(np.arange(matrix.shape[1]) % 2, matrix, matrix * np.float32(1e-35)),
}
TYPES: dict[str, Any] = {
    **{np.dtype(each).name: whole(each) for each in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "g")},
    "np.matrix": np_matrix,
    "Fortran order": np.asfortranarray,
}


def full(case: StageCase, problem: Problem) -> Ranking | None:
    """The stage's order of all items, checked; None where the problem is not for it."""
    stage = case.factory()
    if stage.unmet(problem):
        return None
    first = problem.ranking(GALLERY)
    answer = rerankit.Pipeline([stage]).rerank(problem, first)
    assert np.isfinite(answer.scores).all()
    return answer


def same_order(case: StageCase, one: Problem, other: Problem) -> None:
    """Both problems have the same answer but for its scale; stages that read scores as they are have any."""
    expected, found = full(case, one), full(case, other)
    if expected is not None and found is not None and "check_scale" not in case.skip:
        assert not (where := first_difference(expected, found)), where


def name_of(case: StageCase) -> str:
    return case.factory().name


def by_scale(case: StageCase, made: Problem) -> Iterator[tuple[str, Callable[[], None]]]:
    for exponent in EXPONENTS:
        yield f"scores × 2^{exponent}", lambda e=exponent: same_order(case, made, changed(made, times(e)))


def by_edge(case: StageCase, made: Problem) -> Iterator[tuple[str, Callable[[], None]]]:
    def check(change: Change) -> None:
        there = changed(made, change)
        same_order(case, there, changed(there, times(-6)))

    for name, change in EDGES.items():
        yield name, lambda change=change: check(change)


def by_type(case: StageCase, made: Problem) -> Iterator[tuple[str, Callable[[], None]]]:
    def check(change: Change) -> None:
        there = changed(made, change)
        assert full(case, there) == full(case, changed(made, lambda matrix: np.asarray(change(matrix), np.float32)))

    for name, change in TYPES.items():
        yield name, lambda change=change: check(change)


def by_vectors(case: StageCase, made: Problem) -> Iterator[tuple[str, Callable[[], None]]]:
    random = np.random.default_rng(5)
    sides = [random.normal(size=(count, 8)).astype(np.float32) for count in (QUERIES, GALLERY)]

    def check(metric: Any, exponent: int) -> None:
        def problem(exponent: int) -> Problem:
            scores = EmbeddingScores(*(np.ldexp(side, exponent) for side in sides), metric)
            return rebuilt(made, scores=scores, **dict.fromkeys(UNSCALED))

        same_order(case, problem(0), problem(exponent))

    for metric in METRICS[:1] if name_of(case) == "metric" else METRICS:  # it was fitted to cosines
        for exponent in OF_VECTORS:
            yield f"{metric} of vectors × 2^{exponent}", lambda m=metric, e=exponent: check(m, e)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", conformance.CASES)
def test_every_stage_at_the_edge(name: str, amount: Any, rng: Any, tried: Any) -> None:
    case = conformance.CASES[name]
    if conformance.waits(case):
        pytest.skip("its own cases need what is not installed")
    if name == "metric, from matrices":
        pytest.skip(case.skip["check_scale"])  # other numbers in its banks are refused
    made = changed(case.problem(QUERIES, GALLERY, 12), lambda matrix: matrix.astype(np.float32))
    checks = [check for kind in (by_scale, by_edge, by_type, by_vectors) for check in kind(case, made)]
    for number in rng.permutation(len(checks))[: amount(2, len(checks))].tolist():
        label, check = checks[number]
        try:
            check()
        except Exception as error:
            raise AssertionError(f"{name}, {label}: {type(error).__name__}: {error}") from error
        tried("numbers at the edge, by stage", 1)


BEYOND = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 2e15, 1e300, -1e300]
PARTS = ("scores", "query_scores", "gallery_scores")


@pytest.mark.parametrize("value", BEYOND)
@pytest.mark.parametrize("part", PARTS)
def test_what_is_beyond_is_refused_by_its_name(part: str, value: float, tried: Any) -> None:
    parts = {name: np.eye(3) for name in PARTS}
    parts[part][1, 2] = value
    with pytest.raises(InputError, match=f"'{part}' must (be finite|lie within).* at row 1, column 2"):
        Problem(**parts)
    tried("numbers beyond the edge", 1)


@pytest.mark.parametrize("value", [1e-40, 1e-60])
@pytest.mark.parametrize("part", PARTS)
def test_what_is_lost_in_float32_is_refused_by_its_name(part: str, value: float, tried: Any) -> None:
    with pytest.raises(InputError, match=f"'{part}' must not all be nearer to 0"):
        Problem(**{name: np.eye(3) * (value if name == part else 1) for name in PARTS})
    tried("numbers beyond the edge", 1)


def test_what_the_message_advises_works() -> None:
    scores = np.random.default_rng(0).normal(size=(6, 9))
    scores[::2, 1] = -np.inf
    with pytest.raises(InputError, match="exclude= leaves pairs out, whose cells may then hold NaN"):
        Problem(scores)
    gone = np.isneginf(scores)
    out = [np.flatnonzero(row).tolist() for row in gone]
    answer = rerankit.rerank(Problem(np.where(gone, np.nan, scores), exclude=out), "csls")
    assert not (answer.indices[::2] == 1).any()
    for factor in (1e-50, 1e30):
        with pytest.raises(InputError, match=r"(multiply|divide) all by one number"):
            Problem(scores.clip(-3) * factor)


class Overflowing(rerankit.Stage):
    name = "overflowing"

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        return np.exp(np.exp(ranking.scores.astype(np.float64) * 100))


def test_a_stage_whose_scores_overflow_is_named() -> None:
    with (
        pytest.raises(StageError, match=r"stage\('overflowing'\) .*'scores' must be finite .* the first inf"),
        np.errstate(over="ignore"),
    ):
        rerankit.rerank(np.eye(3), Overflowing())


def test_whole_numbers_that_become_equal_are_told() -> None:
    with pytest.warns(RerankitWarning, match=r"'scores' has whole numbers beyond 2\*\*24.*1 were rounded"):
        Problem(np.array([[2**24, 2**24 + 1]]))


@pytest.mark.parametrize("number", [2**32 - 1, 2**32, 2**32 + 1, 2**53 + 1, 2**63 - 1, 2**64 - 1])
def test_numbers_of_items_are_never_cut(number: int, tried: Any) -> None:
    for make in (
        lambda: Ranking([[number]], [[1.0]]),
        lambda: Ranking([[number]], [[-np.inf]]),
        lambda: ListScores([[number]], [[1.0]], number + 1),
        lambda: ListScores([[number]], [[1.0]], 5),
        lambda: rerankit.Relevance.from_lists([[number]], 5),
    ):
        with pytest.raises(InputError, match=r"'(indices|gallery_size|items)'.* must"):
            make()
        tried("numbers beyond the edge", 1)
