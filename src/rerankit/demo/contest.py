"""The digits: stages that look at all queries together, and the same gallery prepared once for one query at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

import rerankit
from rerankit.bench.examples import Candidate, Example, moved
from rerankit.demo.charts import steps
from rerankit.demo.digits import DigitHalves, halves
from rerankit.demo.figures import first_ranks, percent, recalls
from rerankit.demo.section import FigureTable, Section
from rerankit.display import Face
from rerankit.events import track
from rerankit.extras import require
from rerankit.gallery import Gallery
from rerankit.metrics import evaluate
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage, stage
from rerankit.ranking import Ranking

NAME = "digits"
CANDIDATES = 100
"""How many candidates of each query are re-ranked."""
BASE, BEST = "as they come", "sinkhorn, fused"
SHIPPED = "pillar-plus"
PREPARED = ("nnn", "sinkhorn", "mutual-rank")
"""Stages of which what depends on the gallery and on known queries is computed once."""
_PLACES = 8


def contenders() -> dict[str, Stage | None]:
    """Who takes part; the reasoner with the weights that ship only where torch is installed."""
    reasoner = {}
    if can_reason():
        require("torch", extra="demo")  # before any clock runs
        reasoner = {SHIPPED: stage("pillar-plus", weights="captions")}
    return {
        BASE: None,
        "mutual-rank": stage("mutual-rank"),
        "sinkhorn": stage("sinkhorn"),
        **reasoner,
        BEST: stage("fuse", sources=[stage("sinkhorn"), "predicted"], normalise="z-score"),
    }


def can_reason() -> bool:
    """Whether what the shipped weights need is installed."""
    return find_spec("torch") is not None


@dataclass(frozen=True)
class Outcome:
    """What a contender made of the problem."""

    name: str
    ranking: Ranking
    seconds: float


def contest(halves: DigitHalves) -> Iterator[Outcome]:
    """Let every contender re-rank the same candidates."""
    first = halves.problem.ranking(CANDIDATES)
    for name, one in track(list(contenders().items()), "contenders"):
        pipeline = Pipeline([] if one is None else [one])
        start = time.perf_counter()
        ranking = pipeline.rerank(halves.problem, first)
        yield Outcome(name, ranking, time.perf_counter() - start)


def table(halves: DigitHalves, outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """One row of figures, in percent, for each contender."""
    return [_row(halves, outcome) for outcome in outcomes]


def _row(halves: DigitHalves, outcome: Outcome) -> dict[str, Any]:
    own = recalls(outcome.ranking, halves.own, (1, 5, 10, CANDIDATES))
    ceiling = own.pop(f"R@{CANDIDATES}")
    # What lies behind the candidates counts too, in the order of the base: else mAP would measure the cut.
    graded = percent({"mAP": evaluate(outcome.ranking, halves.graded, ["map"], tail=halves.problem)["map"]})
    return {"stage": outcome.name, **own, **graded, "ceiling": ceiling, "seconds": round(outcome.seconds, 2)}


def one_at_a_time(halves: DigitHalves) -> list[dict[str, Any]]:
    """Rows of figures of stages that are prepared with the known queries as their bank, and asked query by query."""
    rows = []
    for name in track((None, *PREPARED), "prepared galleries"):
        start = time.perf_counter()
        ready = rerankit.prepare(
            Pipeline([]) if name is None else name, Gallery(halves.items, metric="cosine", bank=halves.known)
        )
        prepared = time.perf_counter() - start
        answers, seconds = [], []
        for query in halves.queries:
            start = time.perf_counter()
            answers.append(ready.rerank(query, k=CANDIDATES))
            seconds.append(time.perf_counter() - start)
        figures = recalls(Ranking.concat(answers), halves.own, (1, 5, 10))
        costs = {"prepared in ms": round(1000 * prepared, 1), "ms a query": round(1000 * float(np.median(seconds)), 2)}
        rows.append({"stage": name or "search alone", **figures, **costs})
    return rows


def section() -> Section:
    """Everything of it that is shown."""
    digits = halves()
    outcomes = {outcome.name: outcome for outcome in contest(digits)}
    rows = table(digits, list(outcomes.values()))
    queries, items = digits.problem.shape
    return Section(
        NAME,
        "Better scores out of the scores you have",
        f"{queries} upper halves of handwritten digits look for their own among {items} lower halves. A model of two "
        f"views "
        f"gives the scores; every stage re-ranks the same {CANDIDATES} candidates, without training on digits.",
        (
            FigureTable(rows, _NOTE, better=("R@1", "R@5", "R@10", "mAP")),
            FigureTable(one_at_a_time(digits), _ALONE, better=("R@1", "R@5", "R@10")),
        ),
        charts=(steps("digits", rows, ("R@1", "R@5", "R@10")),),
        examples=pictured(digits, outcomes[BASE].ranking, outcomes[BEST].ranking),
        caption=f"The half that was asked in blue, over each of the first candidates: before, and by '{BEST}'. Two "
        f"that came "
        "to the front from furthest behind, and the one that fell furthest. A frame marks the query's own half.",
    )


_NOTE = (
    "In percent. R@k: the own half is among the first k. mAP: halves of the same digit. Ceiling: the own half is "
    "among the "
    f"candidates. All but the first look at the other test queries. '{SHIPPED}' has the weights that ship, learned on "
    f"captions; '{BEST}' joins a second model's scores."
)
_ALONE = (
    "The same gallery, prepared once with 897 known queries as a bank, then asked one query at a time: an answer "
    "looks at no "
    "other test query. Milliseconds are medians, search included."
)


def pictured(
    halves: DigitHalves, before: Ranking, after: Ranking, gained: int = 2, lost: int = 1
) -> tuple[Example, ...]:
    """Queries that moved most, each candidate drawn below the half that looks for it."""
    ranks = [first_ranks(ranking, halves.own) for ranking in (before, after)]
    rows = moved(ranks[0], ranks[1], gained, lost)
    return tuple(_example(halves, int(row), (before, after), ranks) for row in rows)


def _example(halves: DigitHalves, row: int, lists: tuple[Ranking, Ranking], ranks: list[Any]) -> Example:
    old, new = (None if np.isnan(each[row]) else float(each[row]) for each in ranks)
    sides = [tuple(_candidate(halves, row, item) for item in each.indices[row, :_PLACES].tolist()) for each in lists]
    upper = halves.uppers[row]
    sought = Face(f"query {row}", f"the upper half of a\u00a0{halves.digits[row]}", _tile(upper, np.zeros_like(upper)))
    return Example(row, sought, (old, new), *sides)


def _candidate(halves: DigitHalves, row: int, item: int) -> Candidate:
    face = Face(f"{row}-{item}", f"a {halves.digits[item]}", _tile(halves.uppers[row], halves.lowers[item]))
    return Candidate(item, face, item == row)


def _tile(upper: Any, lower: Any) -> Any:
    """Two halves as one picture (8, 8, 3): the asking half in blue, the other in black, on white."""
    blue, black = np.array([31, 111, 180]), np.array([28, 36, 48])
    inks = np.concatenate([np.broadcast_to(blue, (4, 8, 3)), np.broadcast_to(black, (4, 8, 3))])
    strength = np.concatenate([upper, lower])[..., None]
    return (255 - strength * (255 - inks)).round().astype(np.uint8)
