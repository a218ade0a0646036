"""When neighbours are evidence: the stages that look at them, alone and with the strength they choose themselves.

    python benchmarks/neighbours.py --data FOLDER

Sets of real scores with relations (`real_sets.py`), one to four right items a query, and handwritten digits, where
every query has some sixty. Differences in R@1 and in mean average precision among the first 100 candidates, in points.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits

import rerankit
from real_sets import first_right, views
from rerankit import Problem, Ranking

STAGES = ("alpha-qe", "dba", "diffusion", "k-reciprocal", "gnn")
CANDIDATES = 100


def sets(data: Path) -> Iterator[tuple[str, Problem, np.ndarray]]:
    """Names, problems and which items are right (queries, items)."""
    digits = load_digits()
    vectors = digits.data - digits.data.mean(axis=0)
    chosen = np.random.default_rng(0).permutation(len(vectors))[:900]
    queries, gallery = chosen[:300], chosen[300:]
    right = digits.target[queries][:, None] == digits.target[gallery][None]
    yield "digits", Problem.from_embeddings(vectors[queries], vectors[gallery]), right
    for view in views(data):
        if view.gallery_scores is not None:
            yield view.name, view.problem(), view.right


def quality(ranking: Ranking, right: np.ndarray) -> tuple[float, float]:
    """R@1 and mean average precision, in points."""
    found = np.take_along_axis(right, np.maximum(ranking.indices, 0), axis=1) & ranking.mask
    precision = found.cumsum(axis=1) / np.arange(1, found.shape[1] + 1)
    averages = (precision * found).sum(axis=1) / np.minimum(right.sum(axis=1), found.shape[1])
    return float(first_right(ranking.indices, ranking.scores, right).mean()), 100 * float(averages.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    console = Console(width=200)
    table = Table("set", "base", *(f"{name} {strength}" for name in STAGES for strength in ("1", "auto")))
    for name, problem, right in sets(given.data):
        base = quality(problem.ranking(CANDIDATES), right)
        cells = []
        for one in STAGES:
            for strength in (1, "auto"):
                found = quality(rerankit.rerank(problem, one, k=CANDIDATES, strength=strength), right)
                cells.append(f"{found[0] - base[0]:+.1f} {found[1] - base[1]:+.1f}")
        table.add_row(name, f"{base[0]:.1f} {base[1]:.1f}", *cells)
        console.print(f"[dim]{name}: {' | '.join(cells)}[/dim]")
    console.print(table)


if __name__ == "__main__":
    main()
