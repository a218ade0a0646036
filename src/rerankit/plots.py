"""One style for every picture of figures, on light and on dark ground, as a file or inside a page.

A picture is a function that draws into a matplotlib figure with the colours of a `Theme`. `save` writes it as a file,
`inline` gives it as SVG for a page whose style sheet decides the colours.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

from rerankit import checks
from rerankit.extras import require
from rerankit.files import atomic

_DOTS = 96
"""Pixels of a page in an inch."""


@dataclass(frozen=True)
class Theme:
    """Colours by what they are for: text, lines and ground; what a system looks at; better and worse."""

    ink: str
    muted: str
    grid: str
    paper: str
    alone: str
    bank: str
    others: str
    gain: str
    loss: str
    fourth: str
    fifth: str

    @property
    def series(self) -> tuple[str, ...]:
        """Colours for several lines of one picture, told apart also by those who do not see all colours."""
        return self.alone, self.others, self.bank, self.fourth, self.fifth, self.muted


THEMES = {
    "light": Theme(
        ink="#1c2430",
        muted="#69737f",
        grid="#dfe3e8",
        paper="#ffffff",
        alone="#1f6fb4",
        bank="#10866f",
        others="#c2570c",
        gain="#10866f",
        loss="#b5322b",
        fourth="#7d4fa8",
        fifth="#96781a",
    ),
    "dark": Theme(
        ink="#e7ebf0",
        muted="#98a3b0",
        grid="#333b46",
        paper="#14181e",
        alone="#6db3f2",
        bank="#45c6a8",
        others="#f19a4f",
        gain="#45c6a8",
        loss="#f2837b",
        fourth="#bb93e6",
        fifth="#d8b955",
    ),
}
_PAGE = Theme(*(f"#0a0b{number:02x}" for number in range(len(fields(Theme)))))
"""Colours that occur nowhere else: in a page they become variables of its style sheet."""

Draw: TypeAlias = Callable[[Any, Theme], None]
"""Draws into a matplotlib figure with the colours of a theme."""


def theme_of(name: str) -> Theme:
    """A theme by its name."""
    return THEMES[checks.choice("theme", name, THEMES)]


def save(draw: Draw, path: str | os.PathLike[str], size: tuple[float, float], theme: str = "light") -> Path:
    """Write a picture of `size` (width, height) in inches; the ending says the format, such as .png, .svg or .pdf."""
    colours, target = theme_of(theme), Path(path)
    with atomic(target) as temporary:
        _render(draw, size, colours, temporary, facecolor=colours.paper, dpi=130)
    return target


def save_pair(draw: Draw, path: str | os.PathLike[str], size: tuple[float, float]) -> tuple[Path, Path]:
    """Write a picture for light ground at `path`, and the same for dark ground beside it, as NAME-dark.ENDING."""
    light = Path(path)
    return save(draw, light, size), save(draw, light.with_stem(f"{light.stem}-dark"), size, "dark")


def inline(draw: Draw, size: tuple[float, float], name: str, tips: Mapping[str, str] | None = None) -> str:
    """A picture as an SVG element whose colours are the variables --ink, --muted, … of the page it stands in.

    `name` keeps the ids of several pictures of a page apart. An artist whose gid is a key of `tips` shows that text
    when it is pointed at; a gid may end in "@KEY" for the page to know which system it is about.
    """
    buffer = io.StringIO()
    _render(draw, size, _PAGE, buffer, salt=name, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for variable, colour in asdict(_PAGE).items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"font-family: [^;\"]*", "font-family: inherit", text)
    text = re.sub(r"font: ([\d. a-z]*px) [^;\"]*", r"font: \1 sans-serif; font-family: inherit", text)
    width = round(size[0] * _DOTS)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'class="plot" style="width:{width}px"', text, count=1)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)  # it would hold for all the page
    return re.sub(r"\s*\n\s*", "\n", _marked(text, tips or {})).strip()


def _marked(text: str, tips: Mapping[str, str]) -> str:
    """The picture with texts at its artists; names of groups that are not used go, since pages need theirs unique."""

    def marked(found: re.Match[str]) -> str:
        tip = tips.get(found[1])
        if tip is None:
            return "<g>"
        key = found[1].rpartition("@")[2] if "@" in found[1] else ""
        about = f' data-system="{escape(key)}"' if key else ""
        return f'<g class="mark"{about} data-tip="{escape(tip)}">'

    return re.sub(r'<g id="([^"]+)">', marked, re.sub(r'<g id="[^"]*"/>', "", text))


def _render(
    draw: Draw, size: tuple[float, float], theme: Theme, target: Any, *, salt: str = "", **options: Any
) -> None:
    matplotlib = require("matplotlib", extra="report", purpose="a plot")
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**_style(theme), "svg.hashsalt": salt or "rerankit"}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure, theme)
        figure.savefig(target, **options)


def _style(theme: Theme) -> dict[str, Any]:
    from cycler import cycler

    return {
        "font.size": 9,
        "font.family": "sans-serif",
        "figure.constrained_layout.w_pad": 0.08,
        "figure.constrained_layout.h_pad": 0.06,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.prop_cycle": cycler(color=theme.series),
        "grid.linewidth": 0.7,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.6,
        "lines.markersize": 4.5,
        "svg.fonttype": "none",
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.edgecolor": theme.muted,
        "axes.facecolor": "none",
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "grid.color": theme.grid,
        "figure.facecolor": theme.paper,
    }
