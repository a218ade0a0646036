"""Quality against cost, with the line that nothing is above."""

from __future__ import annotations

from functools import partial
from typing import Any

from rerankit.metrics import traits_of
from rerankit.reports.charts.chart import Canvas, Chart, chart, marker, plain_numbers, short
from rerankit.reports.views import View, pareto

_NAMED = {False: 14, True: 6}
"""Up to so many points all have their names, on a wide page and on a narrow one; of more, only those on the line."""


def cost(view: View) -> Chart | None:
    """Milliseconds of a query against the main metric; None with fewer than two pipelines."""
    if len(view.pipelines) < 2:
        return None
    return chart(
        f"{view.key}-cost",
        "Quality and cost",
        "Milliseconds that re-ranking takes for a query, all stages together, as measured in a batch of all queries; "
        "the line joins what no other pipeline beats in both.",
        partial(_draw, view),
        lambda narrow: 3.4 if narrow else 3.6,
    )


def _draw(view: View, canvas: Canvas) -> None:
    axes, theme = canvas.figure.subplots(), canvas.theme
    points = [(each, max(each.milliseconds or 0.0, 1e-6), view.cell(each).value) for each in view.pipelines]
    factor = float(view.figure(1.0).replace("−", "-"))
    base = factor * view.cell(view.first).value
    best = pareto([(x, traits_of(view.metric).sign * y) for _, x, y in points])
    axes.set_xscale("log")
    axes.axhline(base, color=theme.muted, linewidth=1.1, linestyle=(0, (3, 2)))
    axes.step(
        [points[at][1] for at in best], [factor * points[at][2] for at in best], where="post", color=theme.ink,
        linewidth=1, alpha=0.6,
    )  # fmt: skip
    for system, x, y in points:
        text = f"{system.label}: {view.shown} {view.figure(y)}, {x:.3g} ms a query"
        gid = canvas.tip(text, system.key)
        axes.plot([x], [factor * y], marker(system), color=canvas.colour(system), markersize=6.5, gid=gid)
    axes.margins(x=0.12, y=0.12)
    axes.set(xlabel="ms a query", ylabel=view.shown)
    plain_numbers(axes.xaxis)
    axes.annotate(
        "first stage", (0, base), xycoords=("axes fraction", "data"), xytext=(2, 2), textcoords="offset points",
        color=theme.muted, fontsize=8,
    )  # fmt: skip
    named = range(len(points)) if len(points) <= _NAMED[canvas.narrow] else best
    _name(axes, [(short(points[at][0].label, 22), points[at][1], factor * points[at][2]) for at in named], canvas)


def _name(axes: Any, points: list[tuple[str, float, float]], canvas: Canvas) -> None:
    """Names beside their points, at the first of some places where they hide nothing that is already there."""
    figure = canvas.figure
    figure.draw_without_rendering()
    pixels = [axes.transData.transform((x, y)) for _, x, y in points]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in pixels]
    frame = axes.get_window_extent()
    for (name, x, y), (left, middle) in zip(points, pixels, strict=True):
        width, height = 4.6 * len(name), 10
        places = [(7, 3, "left"), (-7, 3, "right"), (7, -12, "left"), (-7, -12, "right"), (0, 9, "center")]
        for dx, dy, side in places:
            start = left + dx - {"left": 0.0, "right": width, "center": width / 2}[side]
            box = (start, middle + dy, start + width, middle + dy + height)
            inside = frame.x0 <= box[0] and box[2] <= frame.x1 + 6
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                axes.annotate(
                    name, (x, y), xytext=(dx * 0.72, dy * 0.72), textcoords="offset points", ha=side, fontsize=8,
                    color=canvas.theme.ink,
                )  # fmt: skip
                break


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
