"""Running a stage inside a check, and comparing answers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np

from rerankit.ids import same_ids
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking

StageFactory: TypeAlias = Callable[[], Stage]

TOLERANCE = 1e-4  # of scores; products of other shapes round differently


class CheckFailed(AssertionError):  # noqa: N818 - it reads as a sentence
    """A stage does not do what every stage must do."""


def run(stage: Stage, problem: Problem, k: int | None = None, where: str = "") -> Ranking:
    """The stage's valid answer; anything that goes wrong is a failed check that says where."""
    return run_on(stage, problem, problem.ranking(k), where)


def run_on(stage: Stage, problem: Problem, first: Ranking, where: str = "") -> Ranking:
    """The same for a first ranking that is given."""
    with failing(f"on {where or repr(problem)}"):
        result = Pipeline([stage]).rerank(problem, first)
    expect(result.gallery_size == first.gallery_size, f"on {where}: the gallery size changed to {result.gallery_size}")
    kept = all(same_ids(getattr(result, side), getattr(first, side)) for side in ("query_ids", "gallery_ids"))
    expect(kept, f"on {where or repr(problem)}: the ids of the ranking were lost or changed")
    return result


@contextmanager
def failing(what: str) -> Iterator[None]:
    """A block whose errors are a failed check, which says in what, and the file and line of their first cause."""
    try:
        yield
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None and cause.__cause__.__traceback__ is not None:  # which was raised itself
            cause = cause.__cause__
        last = traceback.extract_tb(cause.__traceback__)[-1]
        text = f"{what}: {type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        raise CheckFailed(text) from error


def expect(holds: bool, message: str) -> None:
    """Fail the check with `message` unless it holds."""
    if not holds:
        raise CheckFailed(message)


def expect_equal(one: Ranking, other: Ranking, message: str) -> None:
    """Both must be the same in every bit."""
    expect(one == other, f"{message}: {difference(one, other)}")


def expect_close(one: Ranking, other: Ranking, message: str) -> None:
    """The same candidates, with the same scores but for rounding."""
    expect(close(one, other), f"{message}: {difference(one, other)}")


def close(one: Ranking, other: Ranking) -> bool:
    """Whether the same candidates have the same scores; where scores tie, the order may differ."""
    left, right = one.to_dense(), other.to_dense()
    if left.shape != right.shape or not np.array_equal(np.isneginf(left), np.isneginf(right)):
        return False
    real = ~np.isneginf(left)
    scale = np.abs(left[real]).max(initial=1e-30)
    return bool(np.abs(left[real] - right[real]).max(initial=0) <= TOLERANCE * scale)


def difference(one: Ranking, other: Ranking) -> str:
    """Where two rankings differ first."""
    if one.shape != other.shape:
        return f"shapes {one.shape} and {other.shape}"
    rows = np.flatnonzero((one.indices != other.indices).any(1) | (one.scores != other.scores).any(1))
    if not len(rows):
        return "ids or gallery differ"
    row = int(rows[0])
    differ = (one.indices[row] != other.indices[row]) | (one.scores[row] != other.scores[row])
    some = slice(max(0, int(differ.argmax()) - 1), int(differ.argmax()) + 4)
    shown = [f"{r.indices[row, some].tolist()} with [{', '.join(map(str, r.scores[row, some]))}]" for r in (one, other)]
    return f"query {row}, from place {some.start + 1} on: {shown[0]}, against {shown[1]}"
