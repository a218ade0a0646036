"""How large what a file from elsewhere holds may be before it is refused.

A small file can claim a large array, unpack to gigabytes, or name one list a billion times. What is beyond these
limits is refused before the memory is taken. A file that you trust and that is refused is read with another limit:

>>> from rerankit import limits
>>> with limits.using(ratio=2000, header="100MB"):
...     limits.current().ratio
2000

`RERANKIT_LIMITS="ratio=2000 header=100MB"` sets them for a whole process.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from pathlib import Path

from rerankit import checks
from rerankit.errors import FormatError, rule
from rerankit.scoped import set_to
from rerankit.settings import parse_bytes

COUNTS = ("depth", "files", "nodes", "ratio", "values")


@dataclass(frozen=True)
class Limits:
    """Every limit with its usual value; sizes are in bytes."""

    depth: int = 100
    """How deep lists and objects may stand in each other (JSON, YAML, pickles)."""
    files: int = 100_000
    """How many files a folder may have, or a zip file inside."""
    free: int = 32_000_000
    """Unpacked bytes that are never too much, whatever the ratio."""
    header: int = 32_000_000
    """The header of a safetensors file, the directory of a zip file, a folder's list of files."""
    nodes: int = 10_000
    """How many values a YAML text may have; it is read slowly."""
    ratio: int = 250
    """How many times its size something compressed may have when it is unpacked."""
    text: int = 1_000_000
    """A YAML file or a stage's config; both are read slowly, and say little."""
    unpacked: int = 16_000_000_000
    """What something compressed may unpack to at all."""
    values: int = 2_000_000
    """How many steps a pickle may have, and how many values a pickle or a YAML text, repeated ones counted again."""
    verified: int = 4_000_000_000
    """Arrays beyond this size are not compared with their checksums: reading them through takes its time."""


_chosen: ContextVar[Limits | None] = ContextVar("limits", default=None)


def current() -> Limits:
    """The limits that hold here: those of `using`, else of `RERANKIT_LIMITS`, else the usual ones."""
    chosen = _chosen.get()
    return chosen if chosen is not None else _from_environment(os.environ.get("RERANKIT_LIMITS", ""))


def using(**changes: int | str) -> AbstractContextManager[None]:
    """Use other limits inside a ``with`` block."""
    return set_to(_chosen, replace(current(), **_checked(changes)))


def _from_environment(text: str) -> Limits:
    given: dict[str, int | str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not equals:
            raise rule("RERANKIT_LIMITS", "must be words NAME=VALUE, such as 'ratio=2000 header=100MB'", word)
        given[name] = value
    return Limits(**_checked(given))


def _checked(given: dict[str, int | str]) -> dict[str, int]:
    known = [field.name for field in fields(Limits)]
    for name in given:
        checks.choice("limit", name, known)
    return {name: _count(name, value) if name in COUNTS else parse_bytes(value, name) for name, value in given.items()}


def _count(name: str, value: int | str) -> int:
    if isinstance(value, bool) or not (isinstance(value, int) or str(value).isdecimal()) or int(value) < 1:
        raise rule(name, "must be a whole number of at least 1", value)
    return int(value)


def check(path: str | os.PathLike[str], name: str, got: int, what: str) -> None:
    """Refuse a file in which `what` is beyond the limit `name`.

    >>> check("a.npz", "files", 10**6, "the number of arrays")
    Traceback (most recent call last):
    rerankit.errors.FormatError: a.npz: the number of arrays must be at most 100000 (got 1000000); if you trust the \
file, read it with rerankit.limits.using(files=…) or RERANKIT_LIMITS="files=…"
    """
    most = getattr(current(), name)
    if got > most:
        raise FormatError(
            f"{Path(path)}: {what} must be at most {most} (got {got}); if you trust the file, read it with "
            f'rerankit.limits.using({name}=…) or RERANKIT_LIMITS="{name}=…"'
        )


def check_ratio(path: str | os.PathLike[str], packed: int, unpacked: int, what: str) -> None:
    """Refuse something compressed that unpacks to too much, as far as is known: more may come."""
    check(path, "unpacked", unpacked, f"the unpacked size of {what}")
    if unpacked > current().free:
        check(
            path, "ratio", unpacked // max(packed, 1), f"the unpacked size of {what}, in multiples of its packed size,"
        )
