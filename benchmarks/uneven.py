"""What stages gain where items are not asked for evenly: the panel's sets, their queries drawn by popularity.

    python benchmarks/uneven.py --data FOLDER [--stages nnn sinkhorn] [--bank] [--markdown]

In the panel every item has its query, or as many as the others. Here as many queries as there were are drawn with
replacement, thing by thing: evenly (power 0: one thing in three is not asked for, and some are several times), or by a
popularity that falls as its place to the power of 1/2 or 1 (the first of 500 things then has every seventh query).
A query that is drawn again is another one of its thing's where there are several, and brings noise of half a standard
deviation of the scores otherwise. `--bank` gives half of the draw as a bank to the other half, as a log of earlier
queries would be. The rules that read popularity off the scores were made on draws of these sets, with other seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from panel import FAMILIES, LOSS, Gain, gain_of, lines_of
from real_sets import View, views
from rerankit import Bank, Problem
from rerankit.statistics import bootstrap

POWERS = (0.0, 0.5, 1.0)
NOISE = 0.5
SEEDS = (11, 12)


def drawn(view: View, power: float, seed: int) -> View:
    """As many queries as the view has, drawn with replacement by the popularity of what they show."""
    random = np.random.default_rng(seed)
    things = random.permutation(np.unique(view.owner))
    chances = np.arange(1, len(things) + 1.0) ** -power
    wanted = random.choice(things, size=len(view.scores), p=chances / chances.sum())
    rows = np.array([random.choice(np.flatnonzero(view.owner == thing)) for thing in wanted])
    scores = view.scores[rows].copy()
    again = np.ones(len(rows), bool)
    again[np.unique(rows, return_index=True)[1]] = False
    sigma = (view.scores - view.scores.mean(axis=1, keepdims=True)).std()
    scores[again] += (NOISE * sigma * random.normal(size=scores[again].shape)).astype(np.float32)
    return replace(view, scores=scores, right=view.right[rows], owner=view.owner[rows], query_scores=None)


def halved(view: View) -> tuple[View, Problem]:
    """Half of the queries, and their problem with the other half as a bank."""
    order = np.random.default_rng(0).permutation(len(view.scores))
    tested, earlier = order[::2], order[1::2]
    part = replace(view, scores=view.scores[tested], right=view.right[tested], owner=view.owner[tested])
    return part, Problem(part.scores, query_bank=Bank(to_gallery=view.scores[earlier]))


def measured(view: View, stage: str, power: float, bank: bool) -> Gain:
    """What a stage gains over all draws."""
    cases = [drawn(view, power, seed) for seed in SEEDS]
    pairs = [halved(case) if bank else (case, Problem(case.scores)) for case in cases]
    before, after = (
        np.concatenate(side) for side in zip(*(gain_of(stage, problem, case) for case, problem in pairs), strict=True)
    )
    low, high = bootstrap(after - before, samples=2000)
    return Gain(view.name, stage, before.mean(), (after - before).mean(), low, high)


def table_of(stages: Sequence[str], sets: Sequence[View], bank: bool) -> list[tuple[str, ...]]:
    """Per stage the mean and the worst gain for each power."""
    rows = []
    for stage in stages:
        cells = [stage]
        for power in POWERS:
            (line,) = lines_of([measured(view, stage, power, bank) for view in sets])
            cells += [f"{line.mean:+.1f}", f"{line.worst.gain:+.1f}", str(line.lost or "")]
        rows.append(tuple(cells))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", default=[name for name in FAMILIES["hubness"] if name != "dual-is"])
    parser.add_argument("--bank", action="store_true", help="half of a draw as a log for the other half")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    heads = ["stage", *(f"{power:g}: {name}" for power in POWERS for name in ("mean", "worst", f"below {LOSS}"))]
    rows = table_of(given.stages, views(given.data, control=False), given.bank)
    if given.markdown:
        print(f"| {' | '.join(heads)} |\n| --- |{' --: |' * (len(heads) - 1)}")
        print("\n".join(f"| `{row[0]}` | {' | '.join(row[1:])} |" for row in rows))
        return
    table = Table(*heads, title="R@1 over the base, by the power of popularity")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
