"""What a ranking's notes say, as one text of JSON among named arrays, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import InputError
from rerankit.looks import WORDS, Looks
from rerankit.reading.json_text import parse_json

_BY_THE_CLOCK = ("seconds",)  # the same run must give the same bytes
_LOOKS = "looks_at"
_LOST = object()


def from_notes(notes: Mapping[str, Any]) -> dict[str, AnyArray]:
    """The array `notes`, where there is something to keep: numbers, texts, and lists and mappings of them.

    >>> from_notes({"nnn": {"trust": 0.5}, "seconds": [0.1]})["notes"].item()
    '{"nnn": {"trust": 0.5}}'
    """
    kept = plain_notes({name: value for name, value in notes.items() if name not in _BY_THE_CLOCK})
    return {"notes": np.array(json.dumps(kept))} if kept else {}


def plain_notes(notes: Mapping[str, Any]) -> dict[str, Any]:
    """The notes that JSON can hold."""
    found: dict[str, Any] = _plain(notes)
    return found


def to_notes(text: str) -> dict[str, Any]:
    """The notes that a text says.

    >>> to_notes('{"looks_at": ["bank"]}')
    {'looks_at': Looks(bank=True)}
    """
    notes = parse_json(text, "'notes'")
    if not isinstance(notes, dict):
        raise InputError(f"'notes' must hold an object of JSON (got a {type(notes).__name__})")
    if _LOOKS in notes:
        names = notes[_LOOKS]
        if not isinstance(names, list) or not all(isinstance(name, str) and name in WORDS for name in names):
            raise InputError(f"'{_LOOKS}' of 'notes' must be a list of {', '.join(WORDS)} (got {names!r})")
        notes[_LOOKS] = Looks.of(names)
    return notes


def _plain(value: Any) -> Any:
    """A value as JSON holds it, without what it cannot hold, such as rankings."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Looks):
        return list(value.names)
    if isinstance(value, Mapping):
        made = {str(name): _plain(inner) for name, inner in value.items()}
        return {name: inner for name, inner in made.items() if inner is not _LOST}
    if isinstance(value, list | tuple):
        several = [_plain(inner) for inner in value]
        return _LOST if any(inner is _LOST for inner in several) else several
    return _LOST
