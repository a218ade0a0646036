"""Who takes part in the demo, and how they are measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rerankit.demo.digits import Halves
from rerankit.events import track
from rerankit.metrics import evaluate
from rerankit.pipeline import Pipeline
from rerankit.ranking import Ranking
from rerankit.stages.base import Stage, stage

CANDIDATES = 100
"""How many candidates of each query are re-ranked."""
BASE, BEST = "base: waves", "both"


def _contenders() -> dict[str, Stage | None]:
    other = "predicted"
    return {
        BASE: None,
        "other space": stage("fuse", sources=[other], normalise="none"),
        "mutual-rank": stage("mutual-rank"),
        "fusion": stage("fuse", sources=["scores", other], normalise="z-score"),
        BEST: stage("fuse", sources=[stage("mutual-rank"), other], normalise="z-score"),
    }


CONTENDERS = tuple(_contenders())
"""Names of the contenders."""


@dataclass(frozen=True)
class Outcome:
    """What a contender made of the problem."""

    name: str
    stages: str
    ranking: Ranking
    seconds: float


def contest(halves: Halves) -> Iterator[Outcome]:
    """Let every contender re-rank the same candidates."""
    first = halves.problem.ranking(CANDIDATES)
    for name, one in track(list(_contenders().items()), "contenders"):
        pipeline = Pipeline([] if one is None else [one])
        start = time.perf_counter()
        ranking = pipeline.rerank(halves.problem, first)
        yield Outcome(name, ", ".join(map(repr, pipeline)), ranking, time.perf_counter() - start)


def table(halves: Halves, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """One row of figures, in percent, for each contender."""
    return [_row(halves, outcome) for outcome in outcomes]


def _row(halves: Halves, outcome: Outcome) -> dict[str, Any]:
    ceiling = f"success@{CANDIDATES}"
    found = evaluate(outcome.ranking, halves.own, ["success@1", "success@5", "success@10", ceiling])
    # What lies behind the candidates counts too, in the order of the base: else mAP would measure the cut.
    graded = evaluate(outcome.ranking, halves.graded, ["map", "ndcg@10"], tail=halves.problem)
    figures = {
        "success@1": found["success@1"],
        "success@5": found["success@5"],
        "success@10": found["success@10"],
        "mAP": graded["map"],
        "nDCG@10": graded["ndcg@10"],
        "ceiling": found[ceiling],
    }
    percent = {name: round(100 * value, 1) for name, value in figures.items()}
    return {"contender": outcome.name, **percent, "seconds": round(outcome.seconds, 3)}
