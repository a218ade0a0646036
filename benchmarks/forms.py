"""What stages gain where scores are made of similarities and are none: probabilities, reciprocal ranks, powers.

    python benchmarks/forms.py --data FOLDER [--stages nnn sinkhorn] [--lists 10] [--bank] [--every 4] [--markdown]

Each form is an increasing function of the panel's scores (of a row's, where it says so), so that the order in which
candidates come is the same in all of them, and a stage that gains on the scores themselves should not lose on their
forms. `--every` takes every so many of the views. The rule that tells such scores from others was made on these forms
of these sets; "as they are" none of the views is told by it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from panel import FAMILIES, LOSS, Gain, gain_of, lines_of, runs
from real_sets import View, views
from rerankit.statistics import bootstrap


def standard(scores: np.ndarray) -> np.ndarray:
    return (scores - scores.mean()) / scores.std()


def of_rows(scores: np.ndarray) -> np.ndarray:
    """A softmax over each row."""
    powers = np.exp(5 * (standard(scores) - standard(scores).max(axis=1, keepdims=True)))
    return powers / powers.sum(axis=1, keepdims=True)


FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda scores: scores,
    "probabilities": lambda scores: 1 / (1 + np.exp(-3 * (standard(scores) - 2))),
    "softmax of a row": of_rows,
    "1 / (60 + rank)": lambda scores: 1 / (60 + rankdata(-scores, axis=1, method="ordinal")),
    "1 / distance": lambda scores: 1 / (1e-3 + (scores.max() - scores) / np.ptp(scores)),
    "− distance": lambda scores: -np.sqrt(scores.max() - scores + 1e-6),
    "exponential": lambda scores: np.exp(np.minimum(standard(scores), 30)),
}


def measured(view: View, stage: str, lists: int | None, bank: bool) -> Gain | None:
    """What a stage gains on one form of one view; None where it cannot run."""
    part, problem = view.halves(0) if bank else (view, view.lists(lists) if lists else view.problem())
    if not runs(stage, problem):
        return None
    before, after = gain_of(stage, problem, part)
    return Gain(view.name, stage, before.mean(), (after - before).mean(), *bootstrap(after - before, samples=500))


def rows(sets: Sequence[View], stages: Sequence[str], lists: int | None, bank: bool) -> list[list[str]]:
    """For each stage its mean and worst gain in every form."""
    found: dict[str, list[str]] = {stage: [f"`{stage}`"] for stage in stages}
    for form in FORMS.values():
        bent = [replace(view, scores=form(view.scores.astype(np.float64)).astype(np.float32)) for view in sets]
        gains = [measured(view, stage, lists, bank) for stage in stages for view in bent]
        for line in lines_of([gain for gain in gains if gain is not None]):
            worst = f"{line.worst.gain:+.1f}"
            found[line.stage].append(f"{line.mean:+.1f} / {f'**{worst}**' if line.worst.gain < LOSS else worst}")
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", default=[*FAMILIES["hubness"], "plan", "consensus"])
    parser.add_argument("--lists", type=int)
    parser.add_argument("--bank", action="store_true", help="half of each set, with the other half's queries as a bank")
    parser.add_argument("--every", type=int, default=1, help="of the views one in so many")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    sets = views(given.data, control=False)[:: given.every]
    found = rows(sets, given.stages, given.lists, given.bank)
    if given.markdown:
        print(f"| stage | {' | '.join(FORMS)} |\n| --- |{' --: |' * len(FORMS)}")
        print("\n".join(f"| {' | '.join(row)} |" for row in found))
        return
    table = Table("stage", *FORMS, title=f"mean / worst gain in R@1 of {len(sets)} views")
    for row in found:
        table.add_row(*(cell.strip("`").replace("**", "") for cell in row))
    Console().print(table)


if __name__ == "__main__":
    main()
