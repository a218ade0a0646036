"""Queries with their rankings before and after, the digits visible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import IntArray
from rerankit.demo.digits import Halves
from rerankit.extras import require
from rerankit.files import atomic
from rerankit.ranking import Ranking

PLACES = 10
_GAINS, _LOSSES = 5, 1
_OWN, _SAME, _OTHER = "#1a9641", "#6baed6", "#bdbdbd"
_CAPTION = (
    "each tile: the query's upper half over a candidate's lower half, best first · "
    "five that came to the front from furthest behind, and the front one that fell furthest"
)


def draw(halves: Halves, before: Ranking, after: Ranking, path: Path) -> Path:
    """Write a picture: per query two rows, the first places before and after, as whole digits."""
    figure_module = require("matplotlib.figure", extra="demo", purpose="the demo's picture")
    rows = chosen(before, after)
    figure = figure_module.Figure(figsize=(11.5, 2.05 * len(rows) + 1.1), facecolor="white")
    tops = np.linspace(0.925, 0.01, len(rows) + 1)
    for row, top, bottom in zip(rows.tolist(), tops[:-1], tops[1:], strict=True):
        _query(figure, halves, row, before, after, float(top), float(top - bottom))
    figure.text(0.02, 0.975, "The upper half of a digit looks for its own lower half", size=15, weight="bold")
    figure.text(0.02, 0.95, _CAPTION, size=10, color="#555555")
    for place, (text, colour) in enumerate((("its own half", _OWN), ("same digit", _SAME), ("another", _OTHER))):
        figure.text(0.66 + 0.115 * place, 0.977, f"■ {text}", size=10, color=colour, weight="bold")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return path


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


def _query(figure: Any, halves: Halves, row: int, before: Ranking, after: Ranking, top: float, room: float) -> None:
    height = room * 0.43
    upper = halves.uppers[row]
    axes = figure.add_axes((0.02, top - room * 0.66, 0.075, room * 0.46))
    _tile(axes, np.concatenate([upper, np.full_like(upper, np.nan)]), "#ffffff")
    places = [int(place_of(ranking, np.arange(len(ranking)))[row]) for ranking in (before, after)]
    colour = _OWN if places[1] < places[0] else "#d7191c"
    figure.text(0.0575, top - room * 0.16, f"{halves.digits[row]}", size=11, ha="center", color="#555555")
    said = f"{places[0]} → {places[1]}"
    figure.text(0.0575, top - room * 0.74, said, size=14, ha="center", color=colour, weight="bold")
    figure.text(0.0575, top - room * 0.84, "place of its own half", size=7.5, ha="center", color="#555555")
    for line, (name, ranking) in enumerate((("before", before), ("after", after))):
        bottom = top - height * (line + 1)
        figure.text(0.118, bottom + height / 2, name, size=10, rotation=90, va="center", ha="center", color="#555555")
        for place, item in enumerate(ranking.indices[row, :PLACES].tolist()):
            axes = figure.add_axes((0.13 + place * 0.086, bottom + height * 0.04, 0.082, height * 0.92))
            same = halves.digits[item] == halves.digits[row]
            frame = _OWN if item == row else _SAME if same else _OTHER
            _tile(axes, np.concatenate([upper, halves.lowers[item]]), frame)


def _tile(axes: Any, image: Any, frame: str) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.axhline(3.5, color="#fdae61", linewidth=0.8, linestyle=":")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color(frame)
        side.set_linewidth(3.5 if frame == _OWN else 1.5)
