"""Feature: one entry for each item of a side."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import InputError, rule
from rerankit.scores.blocks import blocks
from rerankit.values import Value

F = TypeVar("F", bound="Feature")
_FIRST_BLOCK = 1 << 16


class Feature(Value):
    """One entry for each item of a side; `len(feature)` counts them and `feature[row]` is one.

    A kind of its own names itself, keeps what it is given by `self._keep(…)` after it has checked it, and says how to
    take some rows. It is hashed by `pieces` and, where it can be written, by `to_arrays` and `from_arrays`.
    """

    kind: ClassVar[str] = ""

    @abstractmethod
    def __len__(self) -> int:
        """How many items there are."""

    @abstractmethod
    def __getitem__(self, row: Any) -> Any:
        """What is known of one item."""

    @abstractmethod
    def take(self: F, rows: IntArray) -> F:
        """The feature of some items, in the given order."""

    def pieces(self) -> Iterator[bytes]:
        """Bytes that tell this feature from another one."""
        raise InputError(f"a feature of kind '{self.kind}' cannot be told from others: it has no 'pieces'")

    def to_arrays(self) -> dict[str, AnyArray]:
        """Arrays by name that files can hold; an array named "" stands for the feature itself."""
        raise InputError(f"a feature of kind '{self.kind}' cannot be written")

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} items)"


def check_entries(values: Any, argument: str) -> None:
    """Refuse what is no collection with one entry per item; a text is none, though it has letters."""
    if isinstance(values, str | bytes | os.PathLike) or not hasattr(values, "__len__"):
        given = repr(values) if isinstance(values, str | bytes | os.PathLike) else type(values).__name__
        raise rule(argument, "must have one entry per item", given)


def array_pieces(array: AnyArray) -> Iterator[bytes]:
    """An array's type, shape and content, block by block."""
    yield f"{array.dtype}{array.shape}".encode()
    rows = np.atleast_1d(array)
    for block in blocks(len(rows), max(1, rows.nbytes // max(1, len(rows)))):
        yield np.ascontiguousarray(rows[block]).tobytes()


def text_pieces(texts: Iterable[str]) -> Iterator[bytes]:
    """Texts, each with its length, so that no other texts give the same bytes."""
    for text in texts:
        coded = text.encode("utf-8", "surrogatepass")
        yield f"{len(coded)}:".encode() + coded


def file_pieces(path: Any) -> Iterator[bytes]:
    """A file by its path, size, time and first block: a file of gigabytes is not read whole for this."""
    yield from text_pieces([os.fspath(path)])
    try:
        found = os.stat(path)
        with open(path, "rb") as file:
            yield f"{found.st_size} {found.st_mtime_ns}".encode() + file.read(_FIRST_BLOCK)
    except OSError:
        yield b"no file"
