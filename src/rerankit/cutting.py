"""Work over many rows or columns that may be cut: done in one go, or in shards wherever an engine works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.scoped import set_to

NamedArrays: TypeAlias = Mapping[str, AnyArray]
Work: TypeAlias = Callable[[slice], NamedArrays]
"""What is done for a slice of the rows or columns, as named arrays. It can be pickled."""


class Cutter(Protocol):
    """What cuts work into shards and has them done."""

    def __call__(self, name: str, work: Work, count: int, unit: int) -> list[NamedArrays]:
        """What `work` gives for neighbouring slices of `range(count)`, whose borders are multiples of `unit`."""


_cutter: ContextVar[Cutter | None] = ContextVar("cutter", default=None)


def cut_by(cutter: Cutter | None) -> AbstractContextManager[None]:
    """A block in which work is cut by `cutter`; None: not at all."""
    return set_to(_cutter, cutter)


def is_cut() -> bool:
    """Whether work is cut here."""
    return _cutter.get() is not None


def in_parts(name: str, work: Work, count: int, unit: int = 1) -> Sequence[NamedArrays]:
    """What `work` gives for slices that together are `range(count)`, in their order; one slice where nothing cuts.

    What a stage makes of the parts may not depend on where the slices end.

    >>> [part["squares"].tolist() for part in in_parts("squares", lambda some: {"squares": np.r_[some] ** 2}, 3)]
    [[0, 1, 4]]
    """
    cutter = _cutter.get()
    if cutter is None:
        return [work(slice(0, count))]
    with cut_by(None):
        return cutter(name, work, count, unit)


def joined(parts: Sequence[NamedArrays], name: str) -> AnyArray:
    """An array of all parts, one behind the other."""
    return parts[0][name] if len(parts) == 1 else np.concatenate([part[name] for part in parts])
