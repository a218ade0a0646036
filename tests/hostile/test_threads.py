"""Stages shared in the ways a service shares them, and worked on by other numbers of threads and with other budgets.

That eight threads get from every stage what one gets is a check of the conformance kit (`check_threads`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import rerankit
import test_conformance as conformance
from rerankit import Ranking, settings
from rerankit.testing.problems import make_problem
from rerankit.testing.sharing import often_switched

Ask = Callable[[int], Ranking]
CALLS = 16
SAMPLE = ("csls", "gnn: aligned", "hmrn")
ROUNDED = ("hmrn", "pillar", "triplet", "cross-encoder", "consensus", "learned-fusion")
"""Whose last bits may depend on the number of threads or on the memory budget; docs/reliability.md names them."""


def by_asyncio(ask: Ask) -> list[Ranking]:
    async def all_of_them() -> list[Ranking]:
        return await asyncio.gather(*(asyncio.to_thread(ask, call) for call in range(CALLS)))

    return asyncio.run(all_of_them())


def by_joblib(ask: Ask) -> list[Ranking]:
    joblib = pytest.importorskip("joblib")
    return list(joblib.Parallel(8, backend="threading")(joblib.delayed(ask)(call) for call in range(CALLS)))


@pytest.fixture(params=conformance.CASES)
def case(request: pytest.FixtureRequest, amount: Any) -> Any:
    """A stage's case; most of them in full runs alone."""
    found = conformance.CASES[request.param]
    if not amount(request.param in SAMPLE, 1) or conformance.waits(found):
        pytest.skip("make test-hostile asks every stage")
    return found


@pytest.mark.timeout(600)
def test_tasks_and_threads_share_a_stage(case: Any, tried: Any) -> None:
    problems = [case.problem(4, size, size) for size in (5, 9, 17)]
    expected = [rerankit.rerank(problem, case.factory(), k=5) for problem in problems]
    for gather in (by_asyncio, by_joblib):
        stage = case.factory()
        with often_switched():
            answers = gather(lambda call, stage=stage: rerankit.rerank(problems[call % 3], stage, k=5))
        assert [call for call, answer in enumerate(answers) if answer != expected[call % 3]] == []
        tried("calls by tasks and threads that share a stage", CALLS)


@pytest.mark.timeout(1200)
def test_threads_and_budgets_change_no_answer(case: Any, tried: Any, amount: Any) -> None:
    pools = pytest.importorskip("threadpoolctl")
    matrices = case.problem is make_problem
    size = amount(20, 200 if matrices else 30)
    problem, answers = case.problem(size, 2 * size, 1), []
    for threads in (1, 2):
        for budget in ("200KB", "1GB"):
            with ExitStack() as stack:
                stack.enter_context(pools.threadpool_limits(threads))
                stack.enter_context(settings.using(memory_budget=budget))
                answers.append(rerankit.rerank(problem, case.factory(), k=size))
    rounded = case.factory().name.startswith(ROUNDED)
    allowed = 1e-5 * float(np.abs(answers[0].scores).max()) if rounded else 0
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.indices, answers[0].indices)
        np.testing.assert_allclose(answer.scores, answers[0].scores, rtol=0, atol=allowed)
        tried("answers with other threads and budgets", 1)
