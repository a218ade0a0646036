"""Checks on more queries than a stage may take at once without saying so."""

from __future__ import annotations

import numpy as np

from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.testing.problems import ProblemMaker, make_problem, with_banks
from rerankit.testing.process import leaving_alone
from rerankit.testing.run import StageFactory, expect_close, run

_QUERIES, _GALLERY, _K = 210, 14, 6
_SOME = np.array([0, 99, 131, 200, 207, 208, 209])


def check_many_queries(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """The same answers for 210 queries in another order; where other queries are not looked at, also for some alone."""
    made = problem(_QUERIES, _GALLERY, 11)
    whole = run(factory(), made, _K, f"{_QUERIES} queries")
    backwards = np.arange(_QUERIES)[::-1]
    with leaving_alone(f"the stage, given {_QUERIES} queries,"):
        found = run(factory(), made.subset(queries=backwards), _K, f"{_QUERIES} queries")
    expect_close(found, whole.take(backwards), f"{_QUERIES} queries in another order get other answers")
    _check_some(factory, made, whole)
    banked = with_banks(made)
    if factory().looks_at(banked).bank and banked.queries.bank is not made.queries.bank:
        _check_some(factory, banked, run(factory(), banked, _K, f"{_QUERIES} queries with banks"))


def _check_some(factory: StageFactory, made: Problem, whole: Ranking) -> None:
    if not factory().looks_at(made).queries:
        few = run(factory(), made.subset(queries=_SOME), _K, f"some of {_QUERIES} queries")
        expect_close(few, whole.take(_SOME), f"looks_at does not say queries, but some of {_QUERIES} get other answers")
