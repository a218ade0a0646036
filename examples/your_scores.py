"""Your scores, better in both directions: a matrix in, a table out.

The scores are of real handwritten digits whose upper halves look for their lower halves, and back. Put your own matrix
in the place of `scores`: a row for each query, a column for each item, higher is better.
"""

from __future__ import annotations

import rerankit
from rerankit import Problem, Relevance, evaluate
from rerankit.demo import halves
from rerankit.statistics import compare


def better(problem: Problem, relevance: Relevance) -> None:
    """The first stage, three re-rankers of the same 50 candidates and what the library chooses without labels."""
    found = {"scores as they are": evaluate(problem.ranking(50), relevance, ["success@1"])}
    for name in ("sinkhorn", "csls", "mutual-rank", "auto"):
        ranking = rerankit.rerank(problem, name, k=50)
        found[name] = evaluate(ranking, relevance, ["success@1"])
    print(compare(found, samples=1000))
    print(f"auto has chosen {ranking.notes['auto']['chosen'] or 'nothing'}")


def main() -> None:
    digits = halves()
    scores = digits.problem.scores.rows()  # (900 upper halves, 900 lower halves)
    problem = Problem(scores)
    print("upper halves look for lower ones\n")
    better(problem, digits.own)
    print("\nlower halves look for upper ones\n")
    better(problem.reversed(), digits.own.reversed())


if __name__ == "__main__":
    main()
