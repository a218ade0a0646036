"""The demo's charts, in the style of the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rerankit.reports.charts.chart import Canvas, Chart, chart
from rerankit.training import History


def steps(key: str, rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Chart:
    """From the first row (a line) to each of the others (a dot), a panel for each metric."""
    height = 0.24 * len(rows) + 0.75
    return chart(
        f"{key}-steps",
        "What is gained",
        "From the scores as they come (dashed line) to each stage (dot), in percent.",
        partial(_steps, rows, metrics),
        lambda narrow: height * len(metrics) if narrow else height,
    )


def _steps(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], canvas: Canvas) -> None:
    theme = canvas.theme
    shape = (len(metrics), 1) if canvas.narrow else (1, len(metrics))
    panels = canvas.figure.subplots(*shape, squeeze=False).reshape(-1)
    first, *others = rows
    name = next(iter(first))
    for place, (axes, metric) in enumerate(zip(panels, metrics, strict=True)):
        for number, row in enumerate(others):
            tip = canvas.tip(f"{row[name]}: {metric} {row[metric]:.1f}, {row[metric] - first[metric]:+.1f}")
            colour = theme.gain if row[metric] >= first[metric] else theme.loss
            axes.plot([first[metric], row[metric]], [number] * 2, color=colour, linewidth=2.4, alpha=0.45)
            axes.plot([row[metric]], [number], "o", color=colour, markersize=6, gid=tip)
        axes.axvline(first[metric], color=theme.muted, linewidth=1.1, linestyle=(0, (3, 2)))
        named = canvas.narrow or place == 0
        axes.set_yticks(range(len(others)), [str(row[name]) if named else "" for row in others])
        axes.set(title=metric, ylim=(len(others) - 0.5, -0.5))
        axes.margins(x=0.15)
        axes.locator_params(axis="x", nbins=5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")


def by_round(key: str, title: str, caption: str, lines: Mapping[str, Sequence[float]]) -> Chart:
    """Percent after each round; the last of `lines` is the one to look at."""
    return chart(key, title, caption, partial(_by_round, lines), lambda narrow: 2.6 if narrow else 2.9)


def _by_round(lines: Mapping[str, Sequence[float]], canvas: Canvas) -> None:
    theme, axes = canvas.theme, canvas.figure.subplots()
    colours = dict(zip(lines, (theme.muted, theme.gain), strict=True))
    for name, values in lines.items():
        rounds = range(1, len(values) + 1)
        axes.plot(rounds, values, color=colours[name], label=name)
        for number, value in zip(rounds, values, strict=True):
            tip = canvas.tip(f"{name}, {number} sentence{'s' * (number > 1)}: {value:.1f}")
            axes.plot([number], [value], "o", color=colours[name], gid=tip)
    axes.set(xlabel="sentences", ylabel="R@1", ylim=(0, 102))
    axes.legend(loc="upper left")


def curves(key: str, name: str, history: History) -> Chart:
    """How a network was trained."""
    return chart(
        f"{key}-curves",
        f"How {name} was trained",
        "Loss and validation over the steps; the dotted line marks the weights that were kept.",
        lambda canvas: history.draw(canvas.figure, canvas.theme, stacked=canvas.narrow),
        lambda narrow: 5.0 if narrow else 2.6,
    )
