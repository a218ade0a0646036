"""How often items come up, before and after."""

from __future__ import annotations

from functools import partial

import numpy as np

from rerankit.arrays import IntArray
from rerankit.metrics import Hubness
from rerankit.reports.charts.chart import Canvas, Chart, chart, plain_numbers, short
from rerankit.reports.views import System, View

_LINES = 5


def hubs(view: View) -> Chart | None:
    """Lines of the first stage and the best pipelines; None for results that do not hold it."""
    first = view.first.hubness
    known = [(each, found) for each in (view.first, *view.pipelines) if (found := each.hubness) is not None]
    if first is None or len(known) < 2:
        return None
    depth = min(first.depth, view.row.k)
    mean = view.row.queries * depth / view.row.gallery
    return chart(
        f"{view.key}-hubs",
        "Hubs",
        f"How many items stand at least so often among the first {depth} of a list. Without hubs every item would come "
        f"up {mean:.3g} times (dotted line).",
        partial(_draw, shown=known[: _LINES + 1], mean=mean, depth=depth),
        lambda narrow: 3.6 if narrow else 3.3,
    )


def _draw(canvas: Canvas, shown: list[tuple[System, Hubness]], mean: float, depth: int) -> None:
    axes, theme = canvas.figure.subplots(), canvas.theme
    axes.axvline(mean, color=theme.muted, linewidth=1, linestyle=":")
    for place, (system, found) in enumerate(shown):
        text = f"skewness {found.skewness:.2f}, {found.never:,} items never, the greatest hub {found.most:,} times"
        look = (
            {"color": theme.series[place - 1], "linewidth": 1.5} if place else {"color": theme.ink, "linestyle": "--"}
        )
        gid = canvas.tip(f"{system.label}: {text}", system.key)
        axes.plot(*curve(found), label=short(system.label, 26), gid=gid, **look)
    axes.set(xscale="log", yscale="log", xlabel=f"times among the first {depth}, at least", ylabel="items")
    plain_numbers(axes.xaxis, axes.yaxis)
    canvas.legend(axes)


def curve(hubness: Hubness) -> tuple[IntArray, IntArray]:
    """How often, and how many items come up at least so often, for the items that come up at all."""
    pairs = np.array([pair for pair in hubness.counts if pair[0] > 0]).reshape(-1, 2)
    return pairs[:, 0], pairs[::-1, 1].cumsum()[::-1]
