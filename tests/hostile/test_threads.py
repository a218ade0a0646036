"""Stages shared in the ways a service shares them: by tasks of asyncio and by joblib's threads.

That eight threads get from every stage what one gets is a check of the conformance kit (`check_threads`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Ranking, Stage
from rerankit.testing.sharing import often_switched

Ask = Callable[[int], Ranking]
CALLS = 16


def by_asyncio(ask: Ask) -> list[Ranking]:
    async def all_of_them() -> list[Ranking]:
        return await asyncio.gather(*(asyncio.to_thread(ask, call) for call in range(CALLS)))

    return asyncio.run(all_of_them())


def by_joblib(ask: Ask) -> list[Ranking]:
    joblib = pytest.importorskip("joblib")
    return list(joblib.Parallel(8, backend="threading")(joblib.delayed(ask)(call) for call in range(CALLS)))


def embeddings(size: int) -> Problem:
    random = np.random.default_rng(size)
    return Problem.from_embeddings(random.normal(size=(4, 8)), random.normal(size=(size, 8)))


def hmrn() -> tuple[Stage, Callable[[int], Problem]]:
    torch = pytest.importorskip("torch")
    from rerankit.features import Regions
    from rerankit.stages.hmrn.network import Hmrn
    from rerankit.stages.hmrn.representation import Descriptions
    from rerankit.stages.hmrn.stage import HmrnStage

    stage = HmrnStage("T-I", dim=8, reasoning_dim=6, region_slots=5, steps=2, word_dim=4, full_rounds=4, device="cpu")
    torch.manual_seed(3)
    config = stage.config_for("T-I", region_dim=7, vocabulary_size=30)
    fitted = stage.with_networks([Hmrn(config).eval()])

    def problem(size: int) -> Problem:
        random = np.random.default_rng(size)
        regions = Regions(random.normal(size=(size, 5, 7)).astype(np.float32))
        searches = Descriptions(random.integers(4, 30, size=(4, 4, 4)))
        scores = random.normal(size=(4, size))
        return Problem(scores, query_features={"text": searches}, gallery_features={"regions": regions})

    return fitted, problem


@pytest.fixture(params=["csls", "gnn", "hmrn"])
def shared(request: Any) -> Iterator[tuple[Stage, list[Problem]]]:
    stage, problem = hmrn() if request.param == "hmrn" else (rerankit.stage(request.param), embeddings)
    with often_switched():
        yield stage, [problem(size) for size in (5, 9, 17)]


@pytest.mark.parametrize("gather", [by_asyncio, by_joblib])
def test_tasks_and_threads_share_a_stage(shared: tuple[Stage, list[Problem]], gather: Any, tried: Any) -> None:
    stage, problems = shared
    expected = [rerankit.rerank(problem, stage, k=5) for problem in problems]
    answers = gather(lambda call: rerankit.rerank(problems[call % 3], stage, k=5))
    assert [call for call, answer in enumerate(answers) if answer != expected[call % 3]] == []
    tried("calls by tasks and threads that share a stage", CALLS)
