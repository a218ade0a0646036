"""Differences to the baseline with their intervals."""

from __future__ import annotations

from functools import partial

from rerankit.metrics import traits_of
from rerankit.reports.charts.chart import Canvas, Chart, chart, marker, rows, short
from rerankit.reports.views import View
from rerankit.statistics.render import p_value, scale


def differences(view: View) -> Chart | None:
    """A row for each system but the baseline, the best first; None where there is none."""
    if len(view.systems) < 2:
        return None
    table = view.table
    return chart(
        f"{view.key}-forest",
        "Differences",
        f"Difference in {view.shown} to '{table.baseline}' with its {100 * table.level:g} % interval (paired "
        f"bootstrap), filled where it is significant ({table.test} test, Holm over the table).",
        partial(_draw, view),
        lambda narrow: 0.22 * len(view.systems) + 0.75,
    )


def _draw(view: View, canvas: Canvas) -> None:
    axes, theme = canvas.figure.subplots(), canvas.theme
    factor = scale(view.metric)[0]
    shown = [each for each in view.systems if view.cell(each).difference is not None]
    for row, system in enumerate(shown):
        cell = view.cell(system)
        low, high = cell.difference_interval or (0.0, 0.0)
        difference, colour = cell.difference or 0.0, canvas.colour(system)
        effect = cell.effect
        counts = f"; better on {effect.wins:,} queries, worse on {effect.losses:,}" if effect else ""
        text = (
            f"{system.label}: {view.figure(difference, sign=True)} "
            f"({view.figure(low, sign=True)} … {view.figure(high, sign=True)}), p {p_value(cell.adjusted)}{counts}"
        )
        axes.plot([factor * low, factor * high], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(
            [factor * difference], [row], marker(system), markersize=6, gid=canvas.tip(text, system.key),
            markeredgecolor=colour, markeredgewidth=1.5, markerfacecolor=colour if cell.mark else theme.paper,
        )  # fmt: skip
    axes.axvline(0, color=theme.ink, linewidth=1)
    rows(axes, [short(each.label, 20 if canvas.narrow else 34) for each in shown])
    axes.spines["left"].set_visible(False)
    unit = "points" if factor == 100 else "difference"
    direction = "" if traits_of(view.metric).sign > 0 else " (lower is better)"
    axes.set_xlabel(f"{view.shown}, {unit}{direction}")
