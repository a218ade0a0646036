"""What stages that look at other queries gain when only some queries are there: quality by the size of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import IntArray
from rerankit.events import track
from rerankit.metrics import Evaluation
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.running import refuses_alone
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.tasks import Benchmark, Part

SAMPLE = 256
"""So many queries are answered for every size, the same ones."""


@dataclass(frozen=True)
class Batches:
    """Figures of the same queries when they are answered in batches of other sizes."""

    queries: tuple[int, ...]
    """Rows of the part's queries."""
    sizes: tuple[tuple[int, Evaluation], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        sizes = [{"size": size, "evaluation": found.to_dict()} for size, found in self.sizes]
        return {"queries": list(self.queries), "sizes": sizes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Batches:
        """What `to_dict` gave."""
        sizes = tuple((each["size"], Evaluation.from_dict(each["evaluation"])) for each in data["sizes"])
        return cls(tuple(data["queries"]), sizes)


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes of batches, each once, from the smallest."""
    return tuple(sorted({checks.integer("batch_sizes", size, least=1) for size in sizes}))


def batch_curve(
    benchmark: Benchmark, part: Part, problem: Problem, pipeline: Pipeline, k: int, sizes: Sequence[int]
) -> Batches | None:
    """Figures of up to `SAMPLE` queries, drawn once, in batches of each size; None where no size is below all queries.

    A batch holds other queries of the part besides those that count, so that each has its size. One query alone keeps
    its order where the pipeline refuses it.
    """
    order = np.random.default_rng(0).permutation(problem.shape[0])
    wanted = [size for size in sizes if size < len(order)]
    if not wanted:
        return None
    counted = order[:SAMPLE]
    own, scores = part_of(part, counted), problem.subset(counted).scores
    tail = scores if scores.complete else None
    metrics = known_metrics(benchmark, part, tail is not None)
    found = []
    for size in wanted:
        ranking = _answered(problem, pipeline, k, list(_batches(order, len(counted), size)), size)
        found.append((size, benchmark.evaluate(own, ranking, tail, metrics)))
    return Batches(tuple(counted.tolist()), tuple(found))


def part_of(part: Part, queries: IntArray) -> Part:
    """A part's evaluation of some of its queries."""
    subset = None if part.subset is None else [part.subset[row] for row in queries.tolist()]
    return replace(part, relevance=part.relevance.subset(queries), subset=subset)


def known_metrics(benchmark: Benchmark, part: Part, complete: bool) -> tuple[str, ...]:
    """The metrics of a part; without ranks where lists end before the gallery does."""
    return tuple(name for name in benchmark.metrics(part) if complete or name not in ("median_rank", "mean_rank"))


def _answered(
    problem: Problem, pipeline: Pipeline, k: int, batches: Sequence[tuple[IntArray, IntArray]], size: int
) -> Ranking:
    """The answers that count, one batch after the other."""
    pieces = []
    for rows, places in track(batches, f"batches of {size}"):
        some = problem.subset(rows)
        first = some.ranking(min(k, some.shape[1]))
        answer = first if refuses_alone(pipeline, some) else pipeline.rerank(some, first)
        pieces.append(answer.take(places))
    return Ranking.concat(pieces)


def _batches(order: IntArray, count: int, size: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Queries of each batch, and the places in it of those that count and were not yet there."""
    for start in range(0, count, size):
        first = min(start, len(order) - size)  # the last batch is as full as the others
        places = np.arange(start - first, min(size, count - first))
        yield order[first : first + size], places
