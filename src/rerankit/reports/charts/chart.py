"""A chart of a report: one drawing, for a wide page and for a narrow one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rerankit.plots import Theme, inline
from rerankit.reports.views import FIRST, System

WIDE, NARROW = 9.5, 3.65
"""Widths in inches: of the column of text, and of a phone."""
_LONGEST = 30


@dataclass
class Canvas:
    """What a chart draws into, and the texts that its artists show when they are pointed at."""

    figure: Any
    theme: Theme
    narrow: bool
    tips: dict[str, str]

    def tip(self, text: str, system: str = "") -> str:
        """The gid for an artist that shows `text` and is about a system."""
        gid = f"tip{len(self.tips)}@{system}"
        self.tips[gid] = text
        return gid

    def colour(self, system: System) -> str:
        """A system's colour, by what it looks at."""
        return self.theme.muted if system.kind == FIRST else str(getattr(self.theme, system.kind))

    def legend(self, axes: Any) -> None:
        """A legend below a narrow chart, to the right of a wide one."""
        if self.narrow:
            self.figure.legend(loc="outside lower center", ncols=2)
        else:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02))


@dataclass(frozen=True)
class Chart:
    """A chart as SVG of two widths."""

    key: str
    title: str
    caption: str
    wide: str
    narrow: str


def chart(key: str, title: str, caption: str, draw: Callable[[Canvas], None], height: Callable[[bool], float]) -> Chart:
    """Draw for both widths; `height(narrow)` is in inches."""
    drawn = []
    for narrow in (False, True):
        tips: dict[str, str] = {}
        size = (NARROW if narrow else WIDE, height(narrow))

        def paint(figure: Any, theme: Theme, narrow: bool = narrow, tips: dict[str, str] = tips) -> None:
            draw(Canvas(figure, theme, narrow, tips))

        drawn.append(inline(paint, size, f"{key}{'n' if narrow else 'w'}", tips))
    return Chart(key, title, caption, *drawn)


def short(label: str, length: int = _LONGEST) -> str:
    """A label that fits beside a chart.

    >>> short("sinkhorn with a very long list of parameters behind it", 20)
    'sinkhorn w…behind it'
    """
    if len(label) <= length:
        return label
    head = length // 2
    return f"{label[:head]}…{label[-(length - head - 1) :]}"


def marker(system: System) -> str:
    """A diamond for what was fitted with labels."""
    return "D" if system.labels else "o"


def rows(axes: Any, names: list[str]) -> None:
    """A row for each name, the first at the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def plain_numbers(*axes: Any) -> None:
    """Numbers as 1, 3, 10, 30 … on logarithmic axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in axes:
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_formatter(NullFormatter())
