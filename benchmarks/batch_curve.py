"""What a stage gains or loses that looks at the other test queries, against how many are asked at once.

    python benchmarks/batch_curve.py --data FOLDER [--stages sinkhorn nnn] [--plot FILE.png]

Every point is the mean difference in R@1 over many random batches of one size, with its interval by a bootstrap over
batches. Nothing is drawn twice within a batch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import rerankit
from panel import CANDIDATES, LOSS, STAGES
from real_sets import View, first_right, views
from rerankit.statistics import bootstrap

SIZES = (1, 2, 4, 16, 64, 256, 512, 1024)
VIEWS = (
    "captions i→t", "captions t→i", "CLIP i→t", "CLIP t→i", "recipes i→t", "recipes t→i", "sped CALC", "sped CoHOG",
    "sped NetVLAD", "sped HOG ←", "corridor CoHOG", "corridor HybridNet", "corridor NetVLAD ←",
)  # fmt: skip
QUERIES = 2000  # asked at every size, in as many batches as that makes


def batches(view: View, size: int, seed: int = 0) -> list[np.ndarray]:
    random, count = np.random.default_rng(seed), len(view.scores)
    number = max(6, min(200, QUERIES // size))
    return [np.sort(random.choice(count, size, replace=False)) for _ in range(number)]


def gains(view: View, stage: str, size: int) -> np.ndarray:
    """The difference in R@1, in points, of every batch."""
    found = []
    for queries in batches(view, size):
        problem, right = view.problem(queries), view.right[queries]
        after, before = rerankit.rerank(problem, stage, k=CANDIDATES), problem.ranking(CANDIDATES)
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
    drawn: dict[str, dict[str, dict[int, tuple[float, float, float]]]] = {}
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


def plot(drawn: dict[str, dict[str, dict[int, tuple[float, float, float]]]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(drawn), figsize=(4 * len(drawn), 4), sharey=True, squeeze=False)
    for axis, (stage, by_view) in zip(axes[0], drawn.items(), strict=True):
        for name, points in by_view.items():
            sizes = sorted(points)
            means, lows, highs = (np.array([points[size][part] for size in sizes]) for part in range(3))
            axis.plot(sizes, means, label=name, linewidth=1.2)
            axis.fill_between(sizes, lows, highs, alpha=0.12)
        axis.axhline(0, color="grey", linewidth=0.8)
        axis.set(xscale="log", title=stage, xlabel="queries asked at once")
    axes[0][0].set_ylabel("R@1 over the base, points")
    axes[0][-1].legend(fontsize=6, loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
