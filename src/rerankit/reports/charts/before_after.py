"""Success at 1, 5 and 10 before and after, with the ceiling of the candidates."""

from __future__ import annotations

from functools import partial
from typing import Any

from rerankit.reports.charts.chart import Canvas, Chart, chart, marker, rows, short
from rerankit.reports.views import View
from rerankit.statistics.render import shown


def before_after(view: View) -> Chart | None:
    """A panel for each metric, a row for each pipeline; None where no metric is a fraction."""
    metrics = view.cuts
    if not metrics or not view.pipelines:
        return None

    def height(narrow: bool) -> float:
        panel = 0.21 * len(view.pipelines) + 0.85
        return panel * len(metrics) if narrow else panel + 0.05

    return chart(
        f"{view.key}-before",
        "Before and after",
        f"From the first stage (line) to each pipeline (dot). The bar at the right is the ceiling: what the best order "
        f"of the {view.row.k:,} candidates would reach.",
        partial(_draw, view, metrics),
        height,
    )


def _draw(view: View, metrics: tuple[str, ...], canvas: Canvas) -> None:
    shape = (len(metrics), 1) if canvas.narrow else (1, len(metrics))
    panels = canvas.figure.subplots(*shape, squeeze=False).reshape(-1)
    for place, (axes, metric) in enumerate(zip(panels, metrics, strict=True)):
        _panel(view, metric, canvas, axes)
        names = [short(each.label, 24 if canvas.narrow else 30) for each in view.pipelines]
        rows(axes, names if canvas.narrow or place == 0 else [""] * len(names))
        axes.spines["left"].set_visible(False)


def _panel(view: View, metric: str, canvas: Canvas, axes: Any) -> None:
    theme = canvas.theme
    base, best = (100 * value for value in (view.cell(view.first, metric).value, view.ceiling(metric)))
    for row, system in enumerate(view.pipelines):
        cell = view.cell(system, metric)
        value = 100 * cell.value
        text = (
            f"{system.label}: {shown(metric)} {view.figure(cell.value, metric)}, "
            f"{view.figure(cell.difference or 0.0, metric, sign=True)} on the first stage"
        )
        gid = canvas.tip(text, system.key)
        colour = canvas.colour(system)
        axes.plot([base, value], [row, row], color=colour, linewidth=2.4, alpha=0.45, solid_capstyle="butt")
        axes.plot([value], [row], marker(system), color=colour, markersize=5.5, gid=gid)
    axes.axvline(base, color=theme.muted, linewidth=1.1, linestyle=(0, (3, 2)))
    tip = canvas.tip(f"ceiling: {shown(metric)} {best:.2f} with the candidates in the best order")
    axes.axvline(best, color=theme.ink, linewidth=2.2, alpha=0.75, gid=tip)
    axes.set_title(shown(metric))
    axes.set_xlabel(f"{base:.1f}, at most {best:.1f}", color=theme.muted)
