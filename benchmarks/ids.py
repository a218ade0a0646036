"""What ids cost: the same runs with text ids and without, over many gallery items.

    python benchmarks/ids.py [--queries 100] [--gallery 300000] [--turns 7]

Wanted: at most 1.2 times the run without ids, for one stage and for ten. The stage is `fuse`, which reads candidates
only, so that nothing hides the cost of ids. The last rows make the problem, too: ids given as `Ids` are only counted, a
list of texts is looked through once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rerankit import Pipeline, Problem, rerank, stage
from rerankit.ids import Ids
from rerankit.measure import machine


def fastest(contenders: dict[str, Callable[[], Any]], turns: int) -> dict[str, float]:
    """Seconds of the fastest run of each; they take turns, so that a slow moment of the machine hits all of them."""
    seconds = dict.fromkeys(contenders, np.inf)
    for _ in range(turns):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("--queries", 100), ("--gallery", 300_000), ("--turns", 7)):
        parser.add_argument(name, type=int, default=default)
    given = parser.parse_args()
    scores = np.random.default_rng(0).standard_normal((given.queries, given.gallery), dtype=np.float32)
    texts = [f"image-{number:09d}.jpg" for number in range(given.gallery)]
    known = Ids(texts)
    bare, named = Problem(scores), Problem(scores, gallery_ids=known)
    pipelines = {"one stage": Pipeline(["fuse"]), "ten stages": Pipeline([stage("fuse") for _ in range(10)])}
    rows = Table("run", "without ids", "with ids", "ratio", title=f"{scores.shape} scores, {machine()['cpu']}")

    def add(run: str, without: Callable[[], Any], within: Callable[[], Any]) -> None:
        found = fastest({"without": without, "with": within}, given.turns)
        ratio = found["with"] / found["without"]
        rows.add_row(run, f"{found['without']:.3f} s", f"{found['with']:.3f} s", f"{ratio:.2f}×")

    for name, pipeline in pipelines.items():
        add(name, lambda p=pipeline: rerank(bare, p), lambda p=pipeline: rerank(named, p))
    for what, ids in (("ids as Ids", known), ("ids as a list", texts)):
        for name, pipeline in pipelines.items():
            add(
                f"problem and {name}, {what}",
                lambda p=pipeline: rerank(Problem(scores), p),
                lambda p=pipeline, ids=ids: rerank(Problem(scores, gallery_ids=ids), p),
            )
    Console().print(rows)


if __name__ == "__main__":
    main()
