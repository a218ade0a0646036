"""Evaluating COCO-5K sized scores and a run in dictionaries, against what is usually done.

    python benchmarks/metrics.py [--images 5000] [--captions 5]

Wanted: both directions of 5,000 × 25,000 under 1 s on 2 cores without a copy of the matrix; 1,000 queries × 100
documents in dictionaries under 0.1 s, the first time.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rerankit import Relevance, evaluate, evaluate_both
from rerankit.measure import Cost, machine, measure

NAMES = ["map", "mrr", "ndcg@10", "recall@10"]


def sorting_every_row(scores: np.ndarray, owner: np.ndarray) -> float:
    """rSum as it is usually computed: an argsort for each row and each column."""
    ranks = []
    for image, row in enumerate(scores):
        order = np.argsort(row)[::-1]
        ranks.append(min(int(np.where(order == caption)[0][0]) for caption in np.flatnonzero(owner == image)))
    total = sum(100 * np.mean(np.array(ranks) < k) for k in (1, 5, 10))
    ranks = [int(np.where(np.argsort(column)[::-1] == owner[at])[0][0]) for at, column in enumerate(scores.T)]
    return float(total + sum(100 * np.mean(np.array(ranks) < k) for k in (1, 5, 10)))


def counting(scores: np.ndarray, owner: np.ndarray) -> float:
    return evaluate_both(scores, Relevance.from_labels(np.arange(len(scores)), owner)).rsum


def in_ranx(run: dict[str, Any], qrels: dict[str, Any]) -> float:
    import ranx

    return float(ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), NAMES)["mrr"])


def in_rerankit(run: dict[str, Any], qrels: dict[str, Any]) -> float:
    return evaluate(run, qrels, NAMES)["mrr"]


def timed(work: Callable[..., float], repeats: int, *arguments: Any) -> tuple[float, Cost, float]:
    """The value, the cost of the fastest repeat, and the processor's seconds of the cheapest."""
    costs, busy = [], []
    for _ in range(repeats):
        start = time.process_time()
        with measure() as cost:
            value = work(*arguments)
        costs.append(cost)
        busy.append(time.process_time() - start)
    return value, min(costs, key=lambda cost: cost.seconds), min(busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--captions", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-ranx", action="store_true", help="its first call compiles for most of a minute")
    given = parser.parse_args()
    random = np.random.default_rng(0)
    scores = random.random((given.images, given.images * given.captions), dtype=np.float32)
    owner = np.arange(scores.shape[1]) // given.captions
    scores[owner, np.arange(len(owner))] += 0.5
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(random.random(100))} for i in range(1000)}
    qrels = {query: {f"d{j}": 1 for j in random.integers(0, 100, 3)} for query in run}
    table = Table("work", "contender", "seconds", "CPU s", "peak MB", "value", title=machine()["cpu"])
    shape = f"{scores.shape[0]} × {scores.shape[1]}, both directions"
    works: list[tuple[str, str, Callable[..., float], tuple[Any, ...]]] = [
        (shape, "rerankit", counting, (scores, owner)),
        (shape, "sorting every row", sorting_every_row, (scores, owner)),
        ("1,000 × 100 in dictionaries, first call", "rerankit", in_rerankit, (run, qrels)),
        ("1,000 × 100 in dictionaries, again", "rerankit", in_rerankit, (run, qrels)),
    ]
    if find_spec("ranx") and not given.skip_ranx:
        works += [
            ("1,000 × 100 in dictionaries, first call", "ranx", in_ranx, (run, qrels)),
            ("1,000 × 100 in dictionaries, again", "ranx", in_ranx, (run, qrels)),
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for what, name, work, arguments in works:
            value, cost, busy = timed(work, 1 if "first" in what else given.repeats, *arguments)
            table.add_row(
                what, name, f"{cost.seconds:.3f}", f"{busy:.3f}", f"{cost.peak_bytes / 1e6:,.0f}", f"{value:.4f}"
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
