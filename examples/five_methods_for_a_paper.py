"""Five methods compared as a paper needs it: the same candidates, intervals, significance, LaTeX, and a report.

python examples/five_methods_for_a_paper.py [FOLDER]     # report.html goes there
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import rerankit
from rerankit import Problem, Relevance, stage
from rerankit.bench import bench, compare_results
from rerankit.demo import halves
from rerankit.statistics import wide
from rerankit.tasks import task

METHODS = {
    "CSLS": stage("csls", neighbours=10),
    "Sinkhorn": stage("sinkhorn"),
    "mutual ranks": stage("mutual-rank"),
    "both, fused": stage("fuse", sources=[stage("sinkhorn"), stage("mutual-rank")], normalise="z-score"),
    "one after the other": stage("sinkhorn") >> stage("mutual-rank").top(10),
}
QUERIES = 400


def main(out: Path) -> None:
    scores = halves().problem.scores.rows()[:QUERIES, :QUERIES]
    with tempfile.TemporaryDirectory() as folder:
        rerankit.write(Path(folder) / "relevance.npz", Relevance.from_dense(np.eye(QUERIES)))
        own = task("generic", both=True, metrics=["success@1", "success@5", "success@10"]).load(folder)
        results = bench(own, Problem(scores), METHODS, k=50)
    print(wide(compare_results(results, samples=1000)).render("latex"))
    page = rerankit.report(results, out / "report.html", samples=1000, title="Five methods", overwrite=True)
    print(f"\n{page.path}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
