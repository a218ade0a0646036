"""What each stage of a pipeline adds."""

from __future__ import annotations

import re
from functools import partial

from rerankit.reports.charts.chart import Canvas, Chart, chart, rows, short
from rerankit.reports.views import System, View
from rerankit.statistics.render import scale


def waterfalls(view: View) -> list[Chart]:
    """A chart for each pipeline of several stages."""
    return [_waterfall(view, each) for each in view.pipelines if len(each.row.stages) > 1]


def _waterfall(view: View, system: System) -> Chart:
    return chart(
        f"{view.key}-fall-{system.key}",
        system.label,
        f"{view.shown} of the first stage, what each stage adds or takes away, and all together (axis not from 0).",
        partial(_draw, view, system),
        lambda narrow: 0.3 * (len(system.row.stages) + 2) + 0.7,
    )


def _draw(view: View, system: System, canvas: Canvas) -> None:
    axes, theme, factor = canvas.figure.subplots(), canvas.theme, scale(view.metric)[0]
    stages = system.row.stages
    levels = [factor * value for value in (view.row.first[view.metric], *(s.evaluation[view.metric] for s in stages))]
    low = min(levels)
    floor = low - 0.35 * max(max(levels) - low, 0.02 * abs(low) + 1e-9)
    length = 26 if canvas.narrow else 46
    bars = [("first stage", floor, levels[0], theme.muted, f"{levels[0]:.2f}")]
    for stage, old, new in zip(stages, levels, levels[1:], strict=False):
        colour = theme.gain if new >= old else theme.loss
        bars.append((short(_name(stage.stage), length), old, new, colour, f"{new - old:+.2f}".replace("-", "−")))
    bars.append(("together", floor, levels[-1], theme.alone, f"{levels[-1]:.2f}"))
    for row, (name, start, end, colour, text) in enumerate(bars):
        gid = canvas.tip(f"{name}: {text}", system.key)
        axes.barh([row], [end - start], left=start, height=0.62, color=colour)[0].set_gid(gid)
        axes.annotate(
            text, (max(start, end), row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5,
            color=theme.ink,
        )  # fmt: skip
    rows(axes, [bar[0] for bar in bars])
    axes.set_xlim(floor, max(levels) + 0.18 * (max(levels) - floor))
    axes.set_xlabel(view.shown)


def _name(text: str) -> str:
    """A stage without the word for it.

    >>> _name("stage('fuse')"), _name("stage('mutual-rank', weight=0.5).top(10)")
    ('fuse', 'mutual-rank(weight=0.5).top(10)')
    """
    alone = re.sub(r"stage\('([^']*)'\)", r"\1", text)
    return re.sub(r"stage\('([^']*)', ", r"\1(", alone).replace("'", "")
