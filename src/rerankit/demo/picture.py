"""Queries with their rankings before and after, the digits visible."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import IntArray
from rerankit.demo.digits import Halves
from rerankit.plots import Theme, save
from rerankit.ranking import Ranking

PLACES = 10
_GAINS, _LOSSES = 5, 1
_CAPTION = (
    "each tile: the query's upper half over a candidate's lower half, best first · "
    "five that came to the front from furthest behind, and the front one that fell furthest"
)


def draw(halves: Halves, before: Ranking, after: Ranking, path: Path, theme: str = "light") -> Path:
    """Write a picture: per query two rows, the first places before and after, as whole digits."""
    rows = chosen(before, after)
    return save(partial(_draw, halves, before, after, rows), path, (11.5, 2.05 * len(rows) + 1.1), theme)


def _draw(halves: Halves, before: Ranking, after: Ranking, rows: IntArray, figure: Any, theme: Theme) -> None:
    figure.set_layout_engine("none")
    tops = np.linspace(0.925, 0.01, len(rows) + 1)
    for row, top, bottom in zip(rows.tolist(), tops[:-1], tops[1:], strict=True):
        _query(figure, theme, halves, row, before, after, float(top), float(top - bottom))
    figure.text(0.02, 0.975, "The upper half of a digit looks for its own lower half", size=15, weight="bold")
    figure.text(0.02, 0.95, _CAPTION, size=10, color=theme.muted)
    legend = ("its own half", theme.gain), ("same digit", theme.alone), ("another", theme.muted)
    for place, (text, colour) in enumerate(legend):
        figure.text(0.66 + 0.115 * place, 0.977, f"■ {text}", size=10, color=colour, weight="bold")


def chosen(before: Ranking, after: Ranking) -> IntArray:
    """Queries whose own half came to the first place from furthest behind, and the one that lost most."""
    own = np.arange(len(before))
    old, new = place_of(before, own), place_of(after, own)
    visible = np.where((new == 1) & (old > 1), old, 0)
    gains = np.argsort(-visible, kind="stable")[:_GAINS]
    lost = np.where((old == 1) & (new <= PLACES), new, 0)
    losses = np.argsort(-lost, kind="stable")[:_LOSSES]
    return np.concatenate([gains, losses])


def place_of(ranking: Ranking, items: IntArray) -> IntArray:
    """The place, from 1, of one item in each row (queries,); one more than the list is long where it is missing."""
    hits = ranking.indices == items[:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, ranking.shape[1] + 1)


def _query(
    figure: Any, theme: Theme, halves: Halves, row: int, before: Ranking, after: Ranking, top: float, room: float
) -> None:
    height = room * 0.43
    upper = halves.uppers[row]
    axes = figure.add_axes((0.02, top - room * 0.66, 0.075, room * 0.46))
    _tile(axes, theme, np.concatenate([upper, np.full_like(upper, np.nan)]), theme.paper)
    places = [int(place_of(ranking, np.arange(len(ranking)))[row]) for ranking in (before, after)]
    colour = theme.gain if places[1] < places[0] else theme.loss
    figure.text(0.0575, top - room * 0.16, f"{halves.digits[row]}", size=11, ha="center", color=theme.muted)
    change = f"{places[0]} → {places[1]}"
    figure.text(0.0575, top - room * 0.74, change, size=14, ha="center", color=colour, weight="bold")
    figure.text(0.0575, top - room * 0.84, "place of its own half", size=7.5, ha="center", color=theme.muted)
    for line, (name, ranking) in enumerate((("before", before), ("after", after))):
        bottom = top - height * (line + 1)
        middle = bottom + height / 2
        figure.text(0.118, middle, name, size=10, rotation=90, va="center", ha="center", color=theme.muted)
        for place, item in enumerate(ranking.indices[row, :PLACES].tolist()):
            axes = figure.add_axes((0.13 + place * 0.086, bottom + height * 0.04, 0.082, height * 0.92))
            same = halves.digits[item] == halves.digits[row]
            frame = theme.gain if item == row else theme.alone if same else theme.grid
            _tile(axes, theme, np.concatenate([upper, halves.lowers[item]]), frame, own=item == row)


def _tile(axes: Any, theme: Theme, image: Any, frame: str, *, own: bool = False) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    strokes = LinearSegmentedColormap.from_list("strokes", [theme.paper, theme.ink])
    axes.imshow(image, cmap=strokes, vmin=0, vmax=1, interpolation="nearest")
    axes.axhline(3.5, color=theme.others, linewidth=0.8, linestyle=":")
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_color(frame)
        side.set_linewidth(3.5 if own else 1.5)
