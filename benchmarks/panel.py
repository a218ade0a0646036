"""What every stage gains with its defaults on every set of real scores, worst first: full, in lists, with a bank.

    python benchmarks/panel.py --data FOLDER [--lists 10 50 100] [--bank] [--all] [--stages nnn sinkhorn] [--every]

A cell is the difference in R@1, in points, to the order in which the candidates came; the interval is a bootstrap over
queries. `--lists` gives top-k lists in place of matrices (the relations within the sides stay). `--bank` cuts
each set into halves by what it shows, three times over: one half is the test, the other half's queries are the bank.
`--all` is everything at once, lists of 10 and of 100, and halves as banks: the table of the page on benchmarks, and
with `--json benchmarks/recorded/panel.json` the figures of the stages' own pages.
`--every` prints the whole table, sets × stages; without it, one line for each stage. The control is an untrained
network: nothing is to be found there. Defaults that were read off this panel say nothing of it; they are checked on
sets that are not in it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import rerankit
from real_sets import View, first_right, views
from rerankit import Problem
from rerankit.files import atomic
from rerankit.measure import machine
from rerankit.statistics import bootstrap

FAMILIES = {
    "hubness": (
        "sinkhorn", "inverted-softmax", "dual-softmax", "qb-norm", "nnn", "csls", "mutual-rank",
        "mutual-neighbours", "dual-is",
    ),
    "neighbours": ("plan", "consensus", "k-reciprocal", "gnn", "alpha-qe", "dba", "diffusion"),
}  # fmt: skip
STAGES = (*FAMILIES["hubness"], *FAMILIES["neighbours"])
FULL, HALVES = "everything at once", "halves, one of them the bank"
CANDIDATES = 100
SPLITS = 3
LOSS = -0.5  # points; below it a cell is coloured


@dataclass(frozen=True)
class Gain:
    """What a stage gains on a view: R@1 in points with its interval, and the base."""

    view: str
    stage: str
    base: float
    gain: float
    low: float
    high: float


def gain_of(stage: str, problem: Problem, view: View) -> tuple[np.ndarray, np.ndarray]:
    """R@1 of each query before and after the stage."""
    ranking = problem.ranking(CANDIDATES)
    after = rerankit.rerank(problem, stage, k=CANDIDATES)
    return tuple(first_right(one.indices, one.scores, view.right) for one in (ranking, after))  # type: ignore[return-value]


def runs(stage: str, problem: Problem) -> bool:
    return not rerankit.stage(stage).unmet(problem)


def measured(view: View, stages: Sequence[str], k: int | None, bank: bool) -> list[Gain]:
    """The gains of all stages that can run on a view."""
    if bank:
        cases = [view.halves(seed) for seed in range(SPLITS)]
    else:
        cases = [(view, view.problem() if k is None else view.lists(k))]
    found = []
    for stage in stages:
        if not all(runs(stage, problem) for _, problem in cases):
            continue
        parts = [gain_of(stage, problem, part) for part, problem in cases]
        before, after = (np.concatenate(side) for side in zip(*parts, strict=True))
        low, high = bootstrap(after - before, samples=2000)
        found.append(Gain(view.name, stage, before.mean(), (after - before).mean(), low, high))
    return found


@dataclass(frozen=True)
class Line:
    """What a stage gains over all views but the control's."""

    stage: str
    views: int
    mean: float
    worst: Gain
    lost: int
    """Views that lose more than `LOSS`."""

    def cells(self, shown: str) -> tuple[str, ...]:
        """Of a table, with the worst gain as `shown`."""
        return self.stage, str(self.views), f"{self.mean:+.2f}", shown, self.worst.view, str(self.lost or "")


def lines_of(gains: Sequence[Gain]) -> list[Line]:
    """A line for each stage, worst first."""
    found = []
    for stage in dict.fromkeys(gain.stage for gain in gains):
        mine = [gain for gain in gains if gain.stage == stage and not gain.view.startswith("control")]
        if mine:
            worst = min(mine, key=lambda gain: gain.gain)
            mean, lost = float(np.mean([gain.gain for gain in mine])), sum(gain.gain < LOSS for gain in mine)
            found.append(Line(stage, len(mine), mean, worst, lost))
    return sorted(found, key=lambda line: line.worst.gain)


def summary(gains: Sequence[Gain], title: str) -> Table:
    table = Table("stage", "views", "mean", "worst", "on", "below the base", title=title)
    for line in lines_of(gains):
        worst = f"{line.worst.gain:+.2f}"
        table.add_row(*line.cells(f"[red]{worst}[/red]" if line.worst.gain < LOSS else worst))
    return table


def markdown(record: Mapping[str, Sequence[Gain]]) -> str:
    """Mean and worst of every stage, a pair of columns for each run, as a table for a page; losses in bold."""
    heads = [f"{title}: mean | worst" for title in record]
    rows = [f"| stage | views | {' | '.join(heads)} |", f"| --- | --: |{' --: | --: |' * len(record)}"]
    runs = [{line.stage: line for line in lines_of(gains)} for gains in record.values()]
    order = {stage: place for place, stage in enumerate(STAGES)}
    for stage, first in sorted(runs[0].items(), key=lambda item: order.get(item[0], len(order))):
        pairs = [_pair(run.get(stage)) for run in runs]
        rows.append(f"| `{stage}` | {first.views} | {' | '.join(pairs)} |")
    return "\n".join(rows)


def _pair(line: Line | None) -> str:
    if line is None:
        return " | "
    worst = f"{line.worst.gain:+.1f}"
    return f"{line.mean:+.1f} | {f'**{worst}**' if line.worst.gain < LOSS else worst}"


def everything(gains: Sequence[Gain], title: str) -> Table:
    stages = list(dict.fromkeys(gain.stage for gain in gains))
    table = Table("view", "base", *stages, title=title)
    cells = {(gain.view, gain.stage): gain for gain in gains}
    for view in dict.fromkeys(gain.view for gain in gains):
        base = next(gain.base for gain in gains if gain.view == view)
        table.add_row(view, f"{base:.1f}", *(_cell(cells.get((view, stage))) for stage in stages))
    return table


def _cell(gain: Gain | None) -> str:
    if gain is None:
        return ""
    text = f"{gain.gain:+.1f} ({gain.low:+.1f} … {gain.high:+.1f})"
    return f"[red]{text}[/red]" if gain.gain < LOSS else text


def runs_of(given: argparse.Namespace) -> dict[str, tuple[int | None, bool]]:
    """Titles, with the length of lists and whether halves are banks."""
    if given.all:
        return {FULL: (None, False), "lists of 10": (10, False), "lists of 100": (100, False), HALVES: (None, True)}
    if given.bank:
        return {HALVES: (None, True)}
    return {f"lists of {k}": (k, False) for k in given.lists} or {FULL: (None, False)}


def written(record: Mapping[str, Sequence[Gain]]) -> str:
    """As JSON keeps it: a line for each cell, in the order of `columns`."""
    head = {"machine": machine(), "date": date.today().isoformat(), "columns": list(Gain.__annotations__)}
    runs = []
    for title, gains in record.items():
        lines = (json.dumps([_rounded(value) for value in vars(gain).values()], ensure_ascii=False) for gain in gains)
        runs.append(json.dumps(title) + ": [\n" + ",\n".join(lines) + "\n]")
    joined = ",\n".join(runs)
    return f'{json.dumps(head)[:-1]}, "gains": {{\n{joined}\n}}}}\n'


def _rounded(value: str | float) -> str | float:
    return value if isinstance(value, str) else round(float(value), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", default=list(STAGES))
    parser.add_argument("--split", default="val", help="of the captions; test is looked at once, at the end")
    parser.add_argument("--lists", nargs="*", type=int, default=[])
    parser.add_argument("--bank", action="store_true")
    parser.add_argument(
        "--all", action="store_true", help="everything at once, lists of 10 and of 100, halves as banks"
    )
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--markdown", action="store_true", help="a table for a page: mean and worst")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    console = Console()
    sets = views(given.data, given.split)
    record: dict[str, list[Gain]] = {}
    for title, (k, bank) in runs_of(given).items():
        gains = [gain for view in sets for gain in measured(view, given.stages, k, bank)]
        if given.every:
            console.print(everything(gains, title))
        console.print(summary(gains, f"R@1 over the base, defaults, {title}"))
        control = [gain for gain in gains if gain.view.startswith("control")]
        beyond = [f"{gain.stage} {gain.gain:+.1f}" for gain in control if gain.low > 0 or gain.high < 0]
        console.print(f"control: {', '.join(beyond) or 'every stage within its interval of 0'}")
        record[title] = gains
    if given.markdown:
        print(markdown(record))
    if given.json:
        with atomic(given.json, overwrite=True) as path:
            path.write_text(written(record), encoding="utf-8")


if __name__ == "__main__":
    main()
