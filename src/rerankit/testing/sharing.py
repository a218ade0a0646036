"""Checks of the stage as something that several threads share, as a service does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from rerankit.ranking import Ranking
from rerankit.testing.problems import ProblemMaker, make_problem
from rerankit.testing.run import StageFactory, expect_equal, run

_K = 6
_THREADS = 8
_SHAPES = ((5, 9), (9, 7), (2, 11))


def check_threads(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Eight threads that share the stage get the answers that one gets, whatever the others ask."""
    problems = [problem(*shape, seed) for seed, shape in enumerate(_SHAPES)]
    alone = factory()
    expected = [run(alone, each, _K) for each in problems]
    shared = factory()

    def ask(thread: int) -> list[tuple[int, Ranking]]:
        where = f"a problem that {_THREADS} threads ask for"
        order = [(thread + turn) % len(problems) for turn in range(len(problems))]
        return [(number, run(shared, problems[number], _K, where)) for number in order]

    with often_switched(), ThreadPoolExecutor(_THREADS) as pool:
        answers = [answer for found in pool.map(ask, range(_THREADS)) for answer in found]
    for number, found in answers:
        where = f"{_THREADS} threads that share {shared.name} get other answers on {problems[number]!r}"
        expect_equal(found, expected[number], where)


@contextmanager
def often_switched() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual, so that they meet."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
