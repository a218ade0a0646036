"""Quality by the number of queries that are answered together."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rerankit.metrics import traits_of
from rerankit.reports.charts.chart import Canvas, Chart, chart, plain_numbers, short
from rerankit.reports.views import System, View
from rerankit.statistics import paired_bootstrap
from rerankit.statistics.render import scale

Values: TypeAlias = NDArray[np.float64]
_LINES = 5


def batch_sizes(view: View) -> Chart | None:
    """Lines of the pipelines that were run in batches; None where none was."""
    shown = [each for each in view.pipelines if each.row.batches is not None][:_LINES]
    if not shown or shown[0].row.batches is None:
        return None
    count = len(shown[0].row.batches.queries)
    return chart(
        f"{view.key}-batches",
        "Batch size",
        f"{view.shown} of the same {count} queries, answered together with more or fewer others. The band is the "
        f"{100 * view.table.level:g} % interval of the best pipeline's difference to the first stage. At the right "
        f"stand all {view.row.queries:,} queries.",
        partial(_draw, view, shown),
        lambda narrow: 3.6 if narrow else 3.2,
    )


def points(view: View, system: System) -> list[tuple[int, Values]]:
    """Sizes with the values of the sampled queries, the whole batch at the end."""
    batches = system.row.batches
    assert batches is not None
    rows = np.array(batches.queries)
    found = [
        (size, np.asarray(each.per_query[view.metric])) for size, each in batches.sizes if view.metric in each.per_query
    ]
    return [*found, (view.row.queries, np.asarray(system.last.per_query[view.metric])[rows])]


def _draw(view: View, shown: list[System], canvas: Canvas) -> None:
    axes, theme, factor = canvas.figure.subplots(), canvas.theme, scale(view.metric)[0]
    middle = np.nanmedian if traits_of(view.metric).summary == "median" else np.nanmean
    batches = shown[0].row.batches
    assert batches is not None
    first = np.asarray(view.row.first.per_query[view.metric])[np.array(batches.queries)]
    base = factor * float(middle(first))
    axes.axhline(base, color=theme.muted, linewidth=1.2, linestyle=(0, (3, 2)), label="first stage")
    colours = dict(zip((each.key for each in shown), theme.series, strict=False))
    for system in shown:
        found = points(view, system)
        sizes, values = [size for size, _ in found], [factor * float(middle(each)) for _, each in found]
        colour = colours[system.key]
        axes.plot(sizes, values, color=colour, label=short(system.label, 26))
        for size, value in zip(sizes, values, strict=True):
            gid = canvas.tip(f"{system.label}, {size:,} together: {view.shown} {value:.2f}", system.key)
            axes.plot([size], [value], "o", color=colour, gid=gid)
        if system is shown[0]:
            ends = [base + factor * np.array(_interval(view, first, each)) for _, each in found]
            axes.fill_between(sizes, *zip(*ends, strict=True), color=colour, alpha=0.13, linewidth=0)
    axes.set(xscale="log", xlabel="queries answered together", ylabel=view.shown)
    plain_numbers(axes.xaxis)
    canvas.legend(axes)


def _interval(view: View, first: Values, values: Values) -> tuple[float, float]:
    known = ~(np.isnan(first) | np.isnan(values))
    summary = traits_of(view.metric).summary
    found = paired_bootstrap(first[known], values[known], summary=summary, level=view.table.level, samples=1000)
    return found[0], found[1]
