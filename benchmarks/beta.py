"""What another inverse temperature than "auto" does to `sinkhorn`: gains in R@1 at fractions and multiples of it.

    python benchmarks/beta.py --data FOLDER

On the views of captions, CLIP pairs and recipes, and on every eighth of the places; a minute or two.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import rerankit
from real_sets import View, first_right, views

FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
PAIRS = ("captions", "CLIP", "recipes")


def gains(view: View) -> list[float]:
    """Points over the order that came, at every factor."""
    problem = view.problem()
    ranking = problem.ranking(100)
    base = first_right(ranking.indices, ranking.scores, view.right).mean()
    auto = float(rerankit.rerank(problem, "sinkhorn", k=100).notes["sinkhorn"]["beta"])
    found = [rerankit.rerank(problem, "sinkhorn", beta=auto * factor, k=100) for factor in FACTORS]
    return [float(first_right(each.indices, each.scores, view.right).mean() - base) for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    every = [view for view in views(given.data, "val") if not view.name.startswith("control")]
    pairs, places = [], []
    for view in every:
        (pairs if view.name.startswith(PAIRS) else places).append(view)
    print(f"{'times auto':24}", *(f"{factor:6g}" for factor in FACTORS))
    table = []
    for view in [*pairs, *places[::8]]:
        table.append(gains(view))
        print(f"{view.name:24}", *(f"{gain:+6.1f}" for gain in table[-1]), flush=True)
    print(f"{'mean':24}", *(f"{gain:+6.1f}" for gain in np.mean(table, axis=0)))


if __name__ == "__main__":
    main()
