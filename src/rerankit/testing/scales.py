"""A check of a stage's answers: the scale and the shift of the scores play no part."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.bank import Bank
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.testing.problems import ProblemMaker, make_problem, rebuilt
from rerankit.testing.run import StageFactory, expect, run

_QUERIES, _GALLERY, _K = 12, 16, 16
CHANGES = {
    "scores × 1/128": (2.0**-7, 0.0),
    "scores × 64": (64.0, 0.0),
    "scores + 3": (1.0, 3.0),
    "scores × 0.5 − 2": (0.5, -2.0),
}
_BANK = ("to_gallery", "to_queries", "to_bank")
_CLEAR = 1e-3  # of the range of a query's scores: neighbours nearer than this may change places by rounding


def check_scale(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Scores of another scale or with something added to all of them give the same order."""
    made = problem(_QUERIES, _GALLERY, 12)
    plain = _changed(made, 1.0, 0.0)
    if factory().unmet(plain):  # it reads vectors
        return
    expected = run(factory(), plain, _K, "scores as they are")
    for name, (times, plus) in CHANGES.items():
        other = _changed(made, times, plus)
        if factory().unmet(other):
            continue
        answer = run(factory(), other, _K, name)
        where = first_difference(expected, answer)
        expect(not where, f"{name} give another order: {where}")


def _changed(problem: Problem, times: float, plus: float) -> Problem:
    def change(scores: Scores | None) -> FloatArray | None:
        return None if scores is None else (scores.rows() * np.float32(times) + np.float32(plus)).astype(np.float32)

    def change_bank(bank: Bank | None) -> Bank | None:
        return None if bank is None else Bank(**{name: change(getattr(bank, name)) for name in _BANK})

    relations = {name: change(getattr(problem, name)) for name in ("scores", "query_scores", "gallery_scores")}
    banks = {name: change_bank(getattr(problem, name)) for name in ("query_bank", "gallery_bank")}
    return rebuilt(problem, **relations, **banks)


def first_difference(expected: Ranking, answer: Ranking) -> str:
    """Where candidates that were clearly apart have changed places; nothing when none have."""
    before, after = expected.to_dense(), answer.to_dense()
    for query, (row, order) in enumerate(zip(expected.scores, expected.indices, strict=True)):
        real = order >= 0
        scores, items = row[real].astype(np.float64), order[real]
        clear = scores[:-1] - scores[1:] > _CLEAR * max(float(np.ptp(scores)) if len(scores) else 0.0, 1e-30)
        swapped = clear & (after[query, items[:-1]] < after[query, items[1:]])
        if swapped.any():
            place = int(np.flatnonzero(swapped)[0])
            one, other = items[place], items[place + 1]
            were = f"{before[query, one]:.6g} and {before[query, other]:.6g}"
            are = f"{after[query, one]:.6g} and {after[query, other]:.6g}"
            return f"query {query} had item {one} before item {other} ({were}; now {are})"
    return ""
