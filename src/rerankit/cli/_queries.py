"""Queries before and after, drawn in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rerankit.bars import aside
from rerankit.cli._output import console

if TYPE_CHECKING:
    from rerankit.bench.examples import Candidate, Example
    from rerankit.display import Face

_CELLS = 14
"""Characters across a picture; two pixels stand above each other in one character."""


def print_queries(examples: Sequence[Example]) -> None:
    """Print each query with its candidates before and after: pictures in colour where they can be drawn, else lines."""
    with aside():
        out = console()
        for number, example in enumerate(examples):
            if number:
                out.print()
            _print_query(out, example)


def _print_query(out: Any, example: Example) -> None:
    _print_head(out, example)
    if example.pictured and out.is_terminal and out.color_system in ("truecolor", "256") and _can_draw():
        _print_pictures(out, example)
    else:
        _print_lines(out, example)


def _can_draw() -> bool:
    from rerankit.extras import absent

    return "PIL" not in absent("report")


def _print_head(out: Any, example: Example) -> None:
    from rich.text import Text

    from rerankit.bench.examples import rank_text

    query, (before, after) = example.query, example.ranks
    head = Text(query.text or query.name, style="bold")
    if query.text:
        head.append(f"  {query.name}", style="dim")
    if before is not None or after is not None:
        old, new = before or float("inf"), after or float("inf")
        style = "green" if new < old else "red" if new > old else "dim"
        head.append(f"  {rank_text(before)} → {rank_text(after)}", style=f"bold {style}")
    out.print(head)


def _print_lines(out: Any, example: Example) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("before", "after", box=None, pad_edge=False, expand=True, header_style="dim", padding=(0, 1))
    for column in table.columns:
        column.ratio = 1
    for place in range(max(len(example.before), len(example.after))):
        sides = (side[place] if place < len(side) else None for side in (example.before, example.after))
        table.add_row(*(_line(place, each) if each is not None else Text("") for each in sides))
    out.print(table)


def _line(place: int, candidate: Candidate) -> Any:
    from rich.text import Text

    mark = " ✓" if candidate.right else ""
    text = f"{place + 1}. {candidate.face.text or candidate.face.name}{mark}"
    return Text(text, style="green" if candidate.right else "", overflow="ellipsis", no_wrap=True)


def _print_pictures(out: Any, example: Example) -> None:
    from rich.columns import Columns

    if example.query.picture is not None:
        out.print(_picture(example.query))
    count = max(1, out.width // (_CELLS + 1))
    for name, candidates in (("before", example.before), ("after", example.after)):
        out.print(name, style="dim")
        out.print(Columns([_tile(place, each) for place, each in enumerate(candidates[:count])], padding=(0, 1, 0, 0)))


def _tile(place: int, candidate: Candidate) -> Any:
    from rich.console import Group

    line = _line(place, candidate)
    line.truncate(_CELLS, overflow="ellipsis", pad=True)
    return Group(_picture(candidate.face), line)


def _picture(face: Face) -> Any:
    """A picture in half blocks: the upper pixel is the letter's colour, the lower one its ground."""
    from rich.text import Text

    from rerankit.pictures import UnreadableImageError, open_image, thumbnail

    text = Text(no_wrap=True)
    try:
        pixels = thumbnail(open_image(face.picture, face.name), _CELLS).load()
    except UnreadableImageError:
        pixels = None
    for row in range(0, _CELLS, 2):
        for column in range(_CELLS):
            upper, lower = (pixels[column, row + below] if pixels is not None else (128, 128, 128) for below in (0, 1))
            text.append("▀", style=f"rgb({upper[0]},{upper[1]},{upper[2]}) on rgb({lower[0]},{lower[1]},{lower[2]})")
        text.append("\n" if row + 2 < _CELLS else "")
    return text
