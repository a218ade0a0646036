"""Queries before and after as one picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rerankit.bench.examples import Candidate, Example, rank_text
from rerankit.display import Face
from rerankit.pictures import UnreadableImageError, open_image, thumbnail
from rerankit.plots import Theme, save

_TILE, _GAP, _EDGE, _LINE = 1.05, 0.1, 0.25, 0.19
"""In inches: a picture's side, the room between two, the frame of the whole, a line of text."""
_LETTER = 0.075
"""About the width of a letter of the small text, in inches."""
_PIXELS = 160


def save_queries(examples: Sequence[Example], path: Path, theme: str) -> Path:
    """Write the picture: a band for each query, with tiles where its candidates have pictures, else with lines."""
    width = _width(examples)
    size = width, 2 * _EDGE + sum(_height(each, width) for each in examples)
    return save(partial(_draw, examples, size), path, size, theme)


def _width(examples: Sequence[Example]) -> float:
    most = max((len(each.after) for each in examples), default=1)
    least = 4.0 if all(each.pictured for each in examples) else 7.5  # lines of text need more room than tiles
    return 2 * _EDGE + max((most + 1) * (_TILE + _GAP) + 0.4, least)


def _asked(example: Example, width: float) -> list[str]:
    """The lines, two at most, of what was asked."""
    room = int((width - 2 * _EDGE - 1.2) / (_LETTER * 1.2))
    return textwrap.wrap(example.query.text or example.query.name, room, max_lines=2, placeholder=" …")


def _head_height(example: Example, width: float) -> float:
    return (1 + len(_asked(example, width))) * _LINE + 0.1


def _height(example: Example, width: float) -> float:
    head = _head_height(example, width)
    if example.pictured:
        return head + 2 * (_TILE + 2 * _LINE) + 0.25
    picture = _TILE + 0.1 if example.query.picture is not None else 0.0
    return head + picture + _LINE * (1 + max(len(example.before), len(example.after))) + 0.25


def _draw(examples: Sequence[Example], size: tuple[float, float], figure: Any, theme: Theme) -> None:
    figure.set_layout_engine("none")
    pen = _Pen(figure, theme, *size)
    top = _EDGE
    for example in examples:
        _head(pen, example, top)
        below = top + _head_height(example, size[0])
        if example.pictured:
            _strips(pen, example, below)
        else:
            _lines(pen, example, below)
        top += _height(example, size[0])


class _Pen:
    """Texts and pictures by inches from the upper left corner."""

    def __init__(self, figure: Any, theme: Theme, width: float, height: float) -> None:
        self.figure, self.theme, self.width, self.height = figure, theme, width, height

    def text(self, x: float, y: float, text: str, colour: str, **look: Any) -> None:
        place = x / self.width, 1 - y / self.height
        self.figure.text(*place, text, color=colour, va="top", **{"size": 8, "parse_math": False, **look})

    def picture(self, x: float, y: float, face: Face, frame: str | None = None) -> None:
        try:
            image = thumbnail(open_image(face.picture, face.name), _PIXELS) if face.picture is not None else None
        except UnreadableImageError:
            image = None
        axes = self.figure.add_axes(
            (x / self.width, 1 - (y + _TILE) / self.height, _TILE / self.width, _TILE / self.height)
        )
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        if image is not None:
            axes.imshow(image)
        else:
            axes.text(0.5, 0.5, "no picture", ha="center", size=7, color=self.theme.muted, transform=axes.transAxes)
        for side in axes.spines.values():
            side.set(visible=True, color=frame or self.theme.grid, linewidth=3 if frame else 0.8)


def _head(pen: _Pen, example: Example, top: float) -> None:
    theme, query = pen.theme, example.query
    lines = _asked(example, pen.width)
    for number, line in enumerate(lines):
        pen.text(_EDGE, top + number * _LINE, line, theme.ink, size=10, weight="bold")
    if query.text:
        pen.text(_EDGE, top + len(lines) * _LINE + 0.01, query.name, theme.muted)
    before, after = example.ranks
    if before is None and after is None:
        return
    better = (after or float("inf")) < (before or float("inf"))
    colour = theme.muted if before == after else theme.gain if better else theme.loss
    change = f"{rank_text(before)} → {rank_text(after)}"
    pen.text(pen.width - _EDGE, top, change, colour, size=12, weight="bold", ha="right")


def _strips(pen: _Pen, example: Example, top: float) -> None:
    """The query's picture at the left, two rows of candidates beside it."""
    if example.query.picture is not None:
        pen.picture(_EDGE, top + _LINE, example.query)
    left = _EDGE + _TILE + 2 * _GAP
    for row, (name, candidates) in enumerate((("before", example.before), ("after", example.after))):
        upper = top + row * (_TILE + 2 * _LINE)
        pen.text(left, upper, name, pen.theme.muted)
        for place, candidate in enumerate(candidates):
            x = left + place * (_TILE + _GAP)
            pen.picture(x, upper + _LINE - 0.03, candidate.face, pen.theme.gain if candidate.right else None)
            colour = pen.theme.gain if candidate.right else pen.theme.muted
            text = textwrap.shorten(_named(place, candidate), int(_TILE / _LETTER) + 2, placeholder="…")
            pen.text(x, upper + _LINE + _TILE + 0.02, text, colour, size=7)


def _lines(pen: _Pen, example: Example, top: float) -> None:
    """Two columns of lines, below the query's picture when it has one."""
    if example.query.picture is not None:
        pen.picture(_EDGE, top, example.query)
        top += _TILE + 0.1
    half = (pen.width - 2 * _EDGE) / 2
    for column, (name, candidates) in enumerate((("before", example.before), ("after", example.after))):
        x = _EDGE + column * half
        pen.text(x, top, name, pen.theme.muted)
        for place, candidate in enumerate(candidates):
            text = textwrap.shorten(_named(place, candidate), int(half / _LETTER) - 2, placeholder=" …")
            colour, weight = (pen.theme.gain, "bold") if candidate.right else (pen.theme.ink, "normal")
            pen.text(x, top + (place + 1) * _LINE, text, colour, weight=weight)


def _named(place: int, candidate: Candidate) -> str:
    return f"{place + 1}. {candidate.face.text or candidate.face.name}"
