"""Where problems come from, and rankings go, that is no file: an address such as ``qdrant://HOST/COLLECTION``."""

from __future__ import annotations

import difflib
import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerankit.errors import InputError, unknown_name
from rerankit.plugins import Entry, manager


class Source(ABC):
    """A database, a service, a library: what is behind addresses that begin with the name of the source."""

    @abstractmethod
    def read(self, address: str) -> Any:
        """What is at an address, without ``NAME:`` or ``NAME://`` in front: a `Problem`, a `Ranking`, a `Relevance`,
        a matrix, a run in any form that a `Problem` takes, or a problem with its relevance.
        """

    def write(self, address: str, value: Any, *, overwrite: bool) -> None:
        """Put a ranking, a problem (with its relevance, as two) or relevance there; what is there stays unless
        `overwrite` says otherwise.
        """
        raise InputError(f"nothing can be written to {type(self).__name__}")


@dataclass(frozen=True)
class Address:
    """Something at a source."""

    entry: Entry
    rest: str

    def read(self) -> Any:
        """What is there; a fault names the plugin."""
        source: Source = self.entry.make()
        with self.entry.blamed(f"cannot read '{self.rest}'"):
            return source.read(self.rest)

    def write(self, value: Any, *, overwrite: bool) -> None:
        """Put a value there."""
        source: Source = self.entry.make()
        with self.entry.blamed(f"cannot write '{self.rest}'"):
            source.write(self.rest, value, overwrite=overwrite)

    def check_writable(self) -> None:
        """Refuse a source that nothing can be written to, before the work."""
        if type(self.entry.make()).write is Source.write:
            raise InputError(f"nothing can be written to '{self}': {self.entry.source} only reads there")

    def __str__(self) -> str:
        return f"{self.entry.name}:{self.rest}"


def address_of(given: Any) -> Address | None:
    """The address that a text is; None for paths of files."""
    found = re.fullmatch(r"([a-z][a-z0-9+.-]+):(//)?(.*)", given, re.DOTALL) if isinstance(given, str) else None
    if found is None:
        return None
    sources = manager().sources
    if found[1] in sources:
        return Address(sources.entry(found[1]), found[3])
    if (found[2] or difflib.get_close_matches(found[1], sources, n=1)) and not os.path.lexists(given):
        raise unknown_name("source", found[1], sources)
    return None


def place_of(given: str) -> Path | str:
    """A path, or the text as it is where it is an address."""
    return Path(given) if address_of(given) is None else given
