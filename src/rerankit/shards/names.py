"""Names of shards: a stem and a number, in the order of the numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from rerankit.errors import FormatError

_NAME = re.compile(r"(?P<stem>.*?)(?P<number>\d+)(?:[-_]of[-_](?P<total>\d+))?")


class Numbered(NamedTuple):
    """A file's name in parts."""

    stem: str
    number: int
    total: int | None
    """How many shards there are, where the name says it: `part-00003-of-00010`."""
    file: Path


def numbered(file: Path) -> Numbered | None:
    """The parts of a shard's name, or None for a file that is none.

    >>> numbered(Path("img_emb_10.npy"))[:3], numbered(Path("scores.npy"))
    (('img_emb_', 10, None), None)
    """
    found = _NAME.fullmatch(file.stem)
    if found is None:
        return None
    total = found["total"]
    return Numbered(found["stem"], int(found["number"]), None if total is None else int(total), file)


def in_order(files: Sequence[Path], start: int | None = None) -> list[Numbered]:
    """Shards by their numbers, 10 after 9, refused when one is missing or there twice.

    They begin with `start`, or with 0 or 1 where that is not stated.

    >>> [each.file.name for each in in_order([Path("a_10.npy"), *(Path(f"a_{n}.npy") for n in range(10))])][-2:]
    ['a_9.npy', 'a_10.npy']
    """
    shards = sorted((each for file in files if (each := numbered(file)) is not None), key=lambda each: each.number)
    for one, other in pairwise(shards):
        if one.number == other.number:
            raise FormatError(f"{other.file}: has the number of {one.file.name}, and the order of shards is unknown")
    first, last = shards[0], shards[-1]
    start = min(first.number, 1) if start is None else start
    total = next((each.total for each in shards if each.total is not None), None)
    stop = last.number + 1 if total is None else start + total
    there = {each.number for each in shards}
    missing = [number for number in range(start, stop) if number not in there]
    if missing:
        name = _name_of(first, missing[0])
        more = f", and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise FormatError(f"{first.file.parent}: the shard {name} is missing{more} (there are {len(shards)})")
    return shards


def _name_of(like: Numbered, number: int) -> str:
    """The name of another shard, with as many digits as this one's."""
    name = like.file.stem
    digits = _NAME.fullmatch(name)
    assert digits is not None, "it is a shard's name"
    width = len(digits["number"])
    begin, end = digits.span("number")
    padded = width > 1 and (like.number < 10 ** (width - 1))
    return f"{name[:begin]}{number:0{width if padded else 1}d}{name[end:]}{like.file.suffix}"
