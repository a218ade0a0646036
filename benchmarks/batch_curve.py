"""What a stage gains or loses that looks at the other test queries, against how many are asked at once.

    python benchmarks/batch_curve.py --data FOLDER [--stages sinkhorn nnn] [--views "CLIP i→t"] [--plot FILE.svg]

Every point is the mean difference in R@1 over many random batches of one size, with its interval by a bootstrap over
batches. Nothing is drawn twice within a batch.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import cycle, product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

import rerankit
from panel import CANDIDATES, LOSS, STAGES
from real_sets import View, first_right, views
from rerankit.plots import Theme, save_pair
from rerankit.statistics import bootstrap

Curves: TypeAlias = dict[str, dict[str, dict[int, tuple[float, float, float]]]]

SIZES = (1, 2, 4, 16, 64, 256, 512, 1024)
VIEWS = (
    "captions i→t", "captions t→i", "CLIP i→t", "CLIP t→i", "recipes i→t", "recipes t→i", "sped CALC", "sped CoHOG",
    "sped NetVLAD", "sped HOG ←", "corridor CoHOG", "corridor HybridNet", "corridor NetVLAD ←",
)  # fmt: skip
COLUMNS = 3
DASHES = ("-", "--", ":")  # where there are more views than colours
QUERIES = 2000  # asked at every size, in as many batches as that makes, but so many at least and at most
FEWEST, MOST = 40, 200


def batches(view: View, size: int, seed: int = 0) -> list[np.ndarray]:
    random, count = np.random.default_rng(seed), len(view.scores)
    number = max(FEWEST, min(MOST, QUERIES // size))
    return [np.sort(random.choice(count, size, replace=False)) for _ in range(number)]


def gains(view: View, stage: str, size: int) -> np.ndarray:
    """The difference in R@1, in points, of every batch."""
    found = []
    for queries in batches(view, size):
        problem, right = view.problem(queries), view.right[queries]
        made = rerankit.stage(stage)
        if "lone" in made.get_params():  # one query alone: the order as it came
            made = made.clone(lone="pass")
        after, before = rerankit.rerank(problem, made, k=CANDIDATES), problem.ranking(CANDIDATES)
        found.append(
            (first_right(after.indices, after.scores, right) - first_right(before.indices, before.scores, right)).mean()
        )
    return np.array(found)


def curve(view: View, stage: str) -> dict[int, tuple[float, float, float]]:
    """(mean, low, high) at every size the view has queries for, and for all of them."""
    points = {}
    sizes = [size for size in SIZES if size < len(view.scores)]
    for size in [*sizes, len(view.scores)]:
        values = gains(view, stage, size) if size < len(view.scores) else gains(view, stage, size)[:1]
        low, high = bootstrap(values, samples=2000) if len(values) > 1 else (values[0], values[0])
        points[size] = float(values.mean()), float(low), float(high)
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", default=list(STAGES))
    parser.add_argument("--views", nargs="+", default=list(VIEWS))
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    console = Console()
    chosen = [view for view in views(given.data) if view.name in given.views]
    drawn: Curves = {}
    worst: list[tuple[float, str]] = []
    for stage in given.stages:
        table = Table("view", *(str(size) for size in SIZES), "all", title=f"{stage}: R@1 over the base")
        for view in chosen:
            if rerankit.stage(stage).unmet(view.problem()):
                continue
            points = curve(view, stage)
            drawn.setdefault(stage, {})[view.name] = points
            table.add_row(view.name, *(_cell(points.get(size)) for size in (*SIZES, len(view.scores))))
            worst += [(mean, f"{stage}, {view.name}, {size}") for size, (mean, _, _) in points.items()]
        if table.row_count:
            console.print(table)
    for mean, where in sorted(worst)[:8]:
        console.print(f"{mean:+.2f}  {where}")
    if given.plot:
        plot(drawn, given.plot)


def _cell(point: tuple[float, float, float] | None) -> str:
    if point is None:
        return ""
    mean, low, high = point
    text = f"{mean:+.1f} ±{(high - low) / 2:.1f}"
    return f"[red]{text}[/red]" if mean < LOSS else text


def plot(drawn: Curves, path: Path) -> None:
    """A panel for each stage, a line with its interval for each view; for light and for dark ground."""
    rows = -(-len(drawn) // COLUMNS)
    save_pair(partial(_draw, drawn), path, (2.6 * COLUMNS + 0.3, 2.3 * rows + 0.5))


def _draw(drawn: Curves, figure: Any, theme: Theme) -> None:
    rows = -(-len(drawn) // COLUMNS)
    panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axes in panels.reshape(-1)[len(drawn) :]:
        axes.set_visible(False)
    for axes, (stage, by_view) in zip(panels.reshape(-1), drawn.items(), strict=False):
        for (name, points), (dashes, colour) in zip(by_view.items(), cycle(product(DASHES, theme.series))):
            sizes = sorted(points)
            means, lows, highs = (np.array([points[size][part] for size in sizes]) for part in range(3))
            axes.plot(sizes, means, dashes, label=name, color=colour)
            axes.fill_between(sizes, lows, highs, color=colour, alpha=0.15, linewidth=0)
        axes.axhline(0, color=theme.muted, linewidth=1)
        axes.set(xscale="log", title=stage)
    for axes in panels[-1]:
        axes.set_xlabel("queries asked at once")
    for axes in panels[:, 0]:
        axes.set_ylabel("points of R@1")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=COLUMNS)


if __name__ == "__main__":
    main()
