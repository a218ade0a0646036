"""A new re-ranker: one class with one method. It is checked, and measured beside others.

In a file of its own with a hook below it, the same class is a plugin for the command line: docs/plugins.md.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import rerankit
from rerankit import Looks, Problem, Ranking, Stage
from rerankit.bench import bench, compare_results
from rerankit.demo import halves
from rerankit.tasks import task
from rerankit.testing import check_stage


class Modest(Stage):
    """Take from each item's scores a share of how well it does on the average of all queries."""

    name = "modest"

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def looks_at(self, problem: Problem | None = None) -> Looks:
        """An answer depends on the other queries: said here, and checked below."""
        return Looks(queries=True)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        popularity = np.nanmean(np.where(np.isfinite(rows := problem.scores.rows()), rows, np.nan), axis=0)
        return ranking.scores - self.share * popularity[ranking.indices]


def main() -> None:
    check_stage(Modest)  # any shape, ties, lists, other block sizes, files: an error lists what fails
    digits = halves()
    with tempfile.TemporaryDirectory() as folder:
        rerankit.write(Path(folder) / "relevance.npz", digits.own)
        own = task("generic", metrics=["success@1", "success@10", "mrr"]).load(folder)
        pipelines = [Modest(), "csls", "mutual-rank", Modest() >> "mutual-rank"]
        results = bench(own, digits.problem.scores.rows(), pipelines, k=50)
    print(compare_results(results, metrics=["success@1"], samples=2000)["forward"])


if __name__ == "__main__":
    main()
