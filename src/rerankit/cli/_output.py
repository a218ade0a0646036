"""Everything that the command line prints."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from rerankit.bars import aside

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]

_NAME_LENGTH = 36  # names in the first column up to this length stay whole
_READABLE = 100  # longer lines of text are hard to read
_WIDE = 240  # columns where no terminal says how wide it is: nothing is cut


def show(rows: Sequence[Mapping[str, Any]], *, title: str = "", as_json: bool = False) -> None:
    """Print rows as a table or, with `as_json`, as a JSON list; the first row names the columns."""
    if as_json:
        show_json(list(rows))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    names = list(rows[0]) if rows else []
    # No frame and two blanks between columns: a terminal of 80 columns is what many tables must fit into.
    table = Table(
        *(str(name) for name in names),
        header_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, (column, name) in enumerate(zip(table.columns, names, strict=True)):
        column.no_wrap = place == 0 and max(len(text_of(row[name])) for row in rows) <= _NAME_LENGTH
        column.overflow = "fold"  # a name or a command that is cut is of no use
        if all(type(row[name]) in (int, float, type(None)) for row in rows):
            column.justify = "right"
    for texts in zip(*(column_texts([row[name] for row in rows]) for name in names), strict=True):
        table.add_row(*texts)
    with aside():
        out = console()
        if title:
            out.print(title, style="italic", markup=False, highlight=False)
        out.print(table)


def show_figures(rows: Sequence[Mapping[str, str]], named: int) -> None:
    """Print rows of figures, named by their first columns; columns a terminal has no room for follow below."""
    from rerankit.statistics.render import plain

    names = list(rows[0])
    width = {name: 2 + max(len(row[name]) for row in ({name: name}, *rows)) for name in names}
    front = names[:named]
    blocks = [list(front)]
    for name in names[named:]:
        # The last column needs no blanks behind it; there must always be one column besides the names.
        if len(blocks[-1]) > named and sum(width[each] for each in (*blocks[-1], name)) - 2 > line_width():
            blocks.append(list(front))
        blocks[-1].append(name)
    line("\n\n".join(plain(block, [[row[name] for name in block] for row in rows], named) for block in blocks))


def line_width() -> int:
    """How many characters a line can have: a terminal's width, and no limit to speak of elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE


def show_json(value: Any) -> None:
    """Print one JSON value."""
    line(json.dumps(_finite(value), indent=2, ensure_ascii=False, default=_plain, allow_nan=False))


def _finite(value: Any) -> Any:
    """The value with None where a number is not finite, for which JSON has no word."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def line(text: str) -> None:
    """A line of a command's result, on stdout."""
    with aside():
        typer.echo(text)


def heading(text: str) -> None:
    """A line above others, on stdout."""
    with aside():
        typer.secho(text, bold=True)


def wrapped(text: str) -> str:
    """A docstring's text in lines that fit: paragraphs are filled, examples and what is indented stay as they are.

    >>> print(wrapped("A line\\nthat goes on.\\n\\n- a list\\n- stays"))
    A line that goes on.
    <BLANKLINE>
    - a list
    - stays
    """
    width = min(line_width(), _READABLE)
    done = []
    for paragraph in text.split("\n\n"):
        kept = paragraph.startswith((">>> ", " ", "| ", "- "))
        done.append(paragraph if kept else textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False))
    return "\n\n".join(done)


def say(text: str) -> None:
    """Lines for people, which break between words; on stderr, so that what is printed on stdout stays clean."""
    with aside():
        typer.echo(_for_people(text), err=True)


def _for_people(text: str) -> str:
    """A text on stderr: in lines that fit where it is a terminal."""
    return folded(text, shutil.get_terminal_size().columns) if sys.stderr.isatty() else text


def folded(text: str, width: int) -> str:
    """Lines of at most so many characters, broken between words; a longer word, such as a path, stays whole.

    >>> folded("wrote one, and\\nthen /a/long/path", 9)
    'wrote\\none, and\\nthen\\n/a/long/path'
    """
    filler = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(filler.fill(line) for line in text.split("\n"))


def complain(text: str) -> None:
    """The one line of an error, and below it the list that it may have."""
    first, *rest = text.splitlines() or [""]
    listed = rest and all(line.startswith("  ") for line in rest)
    begun = "error: "
    with aside():
        typer.secho(begun, fg="red", bold=True, err=True, nl=False)
        typer.echo(_for_people(begun + (text if listed else " ".join([first, *rest]))).removeprefix(begun), err=True)


def text_of(value: Any) -> str:
    """A cell of a table.

    >>> text_of(0.123456), text_of(None), text_of(["a", "b"])
    ('0.1235', '', 'a, b')
    """
    from rich.markup import escape

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(text_of(part) for part in value)
    return escape(str(value))


def column_texts(values: list[Any]) -> list[str]:
    """The cells of a column; numbers with a point get the same number of decimals, one at least.

    >>> column_texts([84.0, 99.75]), column_texts([5.0, None])
    (['84.00', '99.75'], ['5.0', ''])
    """
    texts = [text_of(value) for value in values]
    floats = [text for text, value in zip(texts, values, strict=True) if isinstance(value, float)]
    if not floats or any(set(text) & set("en") for text in floats):  # 1e-07, nan, inf
        return texts
    decimals = max(1, *(len(text.partition(".")[2]) for text in floats))
    return [
        f"{value:.{decimals}f}" if isinstance(value, float) else text for text, value in zip(texts, values, strict=True)
    ]


def console() -> Any:
    """The console that results are printed on; without a limit of width where there is no terminal."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and paths, as JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)
