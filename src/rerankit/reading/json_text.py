"""JSON of others: one value, no name twice, nothing deeper than the limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rerankit import limits
from rerankit.errors import FormatError, several
from rerankit.reading.text import read_text

Maker = Callable[[list[tuple[str, Any]]], dict[str, Any]]
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(path: Path, kind: type[Any] | tuple[type[Any], ...] = (dict, list), most: str | None = None) -> Any:
    """The content of a JSON file (`.gz`: unpacked), which must be of a kind; `most` names the limit of its size."""
    content = parse_json(read_text(path, most), path)
    if not isinstance(content, kind):
        names = " or a ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise FormatError(f"{path}: must hold a {names} (got a {type(content).__name__})")
    return content


def parse_json(text: str, path: Path | str, make: Maker | None = None, *, line: int | None = None) -> Any:
    """What a JSON text says; the error names the line. `make` builds objects from their pairs; `line` is the number of
    the text's line in the file, where it is one of many.

    >>> parse_json('{"k": [1, 2]}', "a.json")
    {'k': [1, 2]}
    >>> parse_json('{"k": 1, "k": 2}', "a.json")
    Traceback (most recent call last):
    rerankit.errors.FormatError: a.json: must name a thing once in an object (got 1 repeated, such as ['k'])
    """
    path = path if line is None else f"{path}: line {line}"
    try:
        content = json.loads(text, object_pairs_hook=make or (lambda pairs: _object(pairs, path)))
        if _HALF_PAIR.search(text):
            json.dumps(content, ensure_ascii=False).encode()
        return content
    except json.JSONDecodeError as cause:
        place = path if line else f"{path}: line {cause.lineno}"
        raise FormatError(f"{place}: truncated or not JSON: {cause.msg}") from cause
    except RecursionError as cause:
        deep = limits.current().depth
        raise FormatError(f"{path}: must have at most {deep} lists and objects in each other (got more)") from cause
    except FormatError:
        raise
    except UnicodeEncodeError as cause:
        raise FormatError(f"{path}: has half of a surrogate pair, which is no character, in a text") from cause
    except ValueError as cause:  # a whole number of thousands of digits
        raise FormatError(f"{path}: not JSON that can be read: {cause}") from cause


def _object(pairs: list[tuple[str, Any]], path: Path | str) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        again = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        raise FormatError(f"{path}: must name a thing once in an object (got {several('repeated', again)})")
    return made
