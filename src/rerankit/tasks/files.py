"""Reading the files that datasets come in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rerankit.errors import FormatError, brief
from rerankit.files import atomic
from rerankit.reading import read_text
from rerankit.reading.json_text import parse_json


def write_json(path: Path, content: Any, **options: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, **options), encoding="utf-8")


def write_json_lines(path: Path, entries: Iterable[Any]) -> None:
    """Write a file with a JSON value in each line, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries), encoding="utf-8")


def read_json_lines(path: Path) -> list[Any]:
    """The values of a file with one in each line; empty lines are passed over."""
    # Not splitlines: a text in JSON may hold other characters that part lines.
    lines = enumerate(read_text(path).split("\n"), 1)
    return [parse_json(line, path, line=number) for number, line in lines if line.strip()]


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without a final empty one."""
    lines = read_text(path).splitlines()
    return lines[:-1] if lines and not lines[-1] else lines


Kind: TypeAlias = type[Any] | tuple[type[Any], ...]
NAME = (str, int)
"""What names an item: a text or a whole number."""
_SAID = {list: "a list", dict: "an object", str: "a text", int: "a whole number", NAME: "a text or a whole number"}


def field(entry: Any, name: str, path: Path, row: int, kind: Kind = object) -> Any:
    """A field of a JSON record that must be there, and of a kind."""
    try:
        value = entry[name]
    except (KeyError, TypeError, IndexError):
        raise FormatError(f"{path}: entry {row} must have '{name}' (got {brief(entry)[:80]})") from None
    return of_kind(value, kind, f"'{name}' of entry {row}", path)


def column(entries: Sequence[Any], name: str, path: Path, kind: Kind = object) -> list[Any]:
    """The same field of all records."""
    return [field(entry, name, path, row, kind) for row, entry in enumerate(entries)]


def fields(entry: Any, name: str, path: Path, row: int, kind: Kind = object) -> list[Any]:
    """A field that must be a list of values of a kind."""
    where = f"of '{name}' of entry {row}"
    values = enumerate(field(entry, name, path, row, list))
    return [of_kind(value, kind, f"value {place} {where}", path) for place, value in values]


def of_kind(value: Any, kind: Kind, what: str, path: Path) -> Any:
    """The value, which must be of a kind; `what` says where it stands in the file.

    >>> of_kind(True, int, "'id' of entry 3", Path("a.json"))
    Traceback (most recent call last):
    rerankit.errors.FormatError: a.json: 'id' of entry 3 must be a whole number (got True)
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not object):
        raise FormatError(f"{path}: {what} must be {_SAID[kind]} (got {brief(value)[:80]})")
    return value
