"""Two backbones, or two models of one: their scores fused, and the best way chosen with labelled queries.

Half of the digits are the labelled queries, the other half is the test.
"""

from __future__ import annotations

import numpy as np

import rerankit
from rerankit import Problem, Relevance, evaluate, stage
from rerankit.demo import halves
from rerankit.statistics import compare

BOTH = ["scores", "other"]
WAYS = {
    "the other": stage("fuse", sources=["other"], normalise="none"),
    "their ranks": stage("fuse", sources=BOTH, method="rrf"),
    "their scores": stage("fuse", sources=BOTH, normalise="z-score"),
    "corrected, then fused": stage("fuse", sources=[stage("sinkhorn"), "other"], normalise="z-score"),
}


def half(problem: Problem, rows: np.ndarray) -> tuple[Problem, Relevance]:
    """Some of the digits, on both sides."""
    return problem.subset(rows, rows), Relevance.from_lists([[row] for row in range(len(rows))], len(rows))


def main() -> None:
    digits = halves().problem
    # Two matrices of the same queries and items, (900, 900): each backbone on a scale of its own.
    problem = Problem(digits.scores.rows(), extra_scores={"other": digits.extra_scores["predicted"].rows()})
    known, (asked, relevance) = half(problem, np.arange(450)), half(problem, np.arange(450, 900))

    chosen = rerankit.choose(*known, among=list(WAYS.values()), k=50)
    print(chosen.table(), "\n")
    found = {"one backbone": evaluate(asked.ranking(50), relevance, ["success@1"])}
    for name, way in {**WAYS, "as chosen": chosen}.items():
        found[name] = evaluate(rerankit.rerank(asked, way, k=50), relevance, ["success@1"])
    print(compare(found, samples=2000))


if __name__ == "__main__":
    main()
