"""What labelled pairs give one query at a time where matrices alone are known: half of each set's things are the pairs.

    OMP_NUM_THREADS=2 python benchmarks/labelled.py --data FOLDER

`metric` learns from the matrices of one half and re-ranks the other half; every stage stands alone, with the half's
queries as a bank, and behind it. Places know scores across alone. Two halves for each view, R@1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from real_sets import View, views
from rerankit import Bank, Pipeline, Problem, Relevance, rerank, stage

BEHIND = ("", "nnn", "csls", "mutual-rank", "sinkhorn")
SEEDS = 2


def halves(view: View, seed: int) -> tuple[Problem, Relevance, Problem, np.ndarray]:
    """The pairs and what is right in them, the other half with the pairs as its banks, and what is right in that."""
    tested, _ = view.halves(seed)
    queries, items = np.isin(view.owner, tested.owner), np.isin(view.item_owner, tested.item_owner)
    known, right = (
        Problem(
            view.scores[np.ix_(rows, columns)],
            query_scores=among(view.query_scores, rows, rows),
            gallery_scores=among(view.gallery_scores, columns, columns),
        )
        for rows, columns in ((~queries, ~items), (queries, items))
    )
    banks = {
        "query_bank": Bank(
            to_gallery=view.scores[np.ix_(~queries, items)],
            to_queries=among(view.query_scores, ~queries, queries),
            to_bank=among(view.query_scores, ~queries, ~queries),
        ),
        "gallery_bank": Bank(
            to_queries=view.scores[np.ix_(queries, ~items)].T,
            to_gallery=among(view.gallery_scores, ~items, items),
            to_bank=among(view.gallery_scores, ~items, ~items),
        ),
    }
    labels = Relevance.from_dense(view.right[np.ix_(~queries, ~items)])
    return known, labels, right.with_banks(**banks), view.right[np.ix_(queries, items)]


def among(scores: np.ndarray | None, rows: np.ndarray, columns: np.ndarray) -> np.ndarray | None:
    """Some rows and columns of a relation, where it is known."""
    return None if scores is None else scores[np.ix_(rows, columns)]


def first_right(view: View, seed: int) -> np.ndarray:
    """R@1 in points of every stage alone and behind `metric` (stages, 2)."""
    known, labels, problem, right = halves(view, seed)
    learned = stage("metric").fit(known, labels)  # type: ignore[attr-defined]
    found = np.zeros((len(BEHIND), 2))
    for row, name in enumerate(BEHIND):
        for column, begun in enumerate(([], [learned])):
            ranking = rerank(problem, Pipeline([*begun, *([stage(name)] if name else [])]), k=100)
            found[row, column] = 100 * right[np.arange(len(right)), ranking.indices[:, 0]].mean()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    print(f"{'':24s}" + "".join(f"{name or 'as it came':>15s}" for name in BEHIND))
    table = []
    for view in views(given.data):
        found = np.mean([first_right(view, seed) for seed in range(SEEDS)], axis=0)
        print(f"{view.name:24s}" + "".join(f"{one:7.1f} →{other:6.1f}" for one, other in found), flush=True)
        if not view.name.startswith("control"):
            table.append(found)
    whole = np.array(table)
    added = whole[:, :, 1] - whole[:, :, 0]
    print(f"{'mean':24s}" + "".join(f"{one:7.1f} →{other:6.1f}" for one, other in whole.mean(axis=0)))
    print(f"{'worst that metric adds':24s}" + "".join(f"{worst:+15.1f}" for worst in added.min(axis=0)))


if __name__ == "__main__":
    main()
