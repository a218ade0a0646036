"""Ids: the names of one side's items, checked once and then passed on by identity."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, IntArray, frozen, to_numpy
from rerankit.errors import rule, several
from rerankit.values import Value


class Ids(Value):
    """Names of items, whole numbers or texts, each of them once.

    `values` is a read-only array (items,) of int64 or text. Where ids are expected a list will do; ids that are
    `Ids` already are only counted, so that a gallery of millions is looked through once.

    >>> ids = Ids(["cat", "dog"])
    >>> ids, ids.rows_of(["dog"])
    (Ids(2, 'cat', 'dog'), array([1]))
    """

    values: AnyArray
    _rows: dict[Any, int] | None

    def __init__(self, values: Any, argument: str = "ids") -> None:
        self._keep(values=frozen(_checked(values, argument)), _rows=None)

    def take(self, rows: IntArray | slice | None) -> Ids:
        """The ids of some items, in the given order; no item may come twice."""
        if rows is None:
            return self
        taken = self.values[rows]
        if not isinstance(rows, slice):
            _check_once(np.asarray(rows), self.values)
        return self.from_checked(values=frozen(taken), _rows=None)

    def rows_of(self, names: Iterable[Any], argument: str = "names") -> IntArray:
        """Where each name stands; every one must be known."""
        if self._rows is None:
            self._keep(_rows={name: row for row, name in enumerate(self.values.tolist())})
        known: dict[Any, int] = self._rows or {}
        wanted = np.asarray(names).tolist() if isinstance(names, np.ndarray) else list(names)
        odd = [name for name in wanted if not isinstance(name, Hashable)]
        if odd:
            raise rule(argument, "must hold ids, which are texts or whole numbers", odd[0])
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise rule(argument, "must name only known ids", several("unknown", unknown, len(wanted)))
        return np.array([known[name] for name in wanted], np.int64)

    def tolist(self) -> list[Any]:
        """As plain numbers or texts."""
        found: list[Any] = self.values.tolist()
        return found

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, rows: Any) -> Any:
        return self.values[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return np.array(self.values, dtype) if copy else np.asarray(self.values, dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ids):
            return NotImplemented
        return self is other or self.values is other.values or bool(np.array_equal(self.values, other.values))

    def __hash__(self) -> int:
        return hash((len(self.values), *self.values[:3].tolist()))

    def __getstate__(self) -> dict[str, Any]:
        return {"values": self.values, "_rows": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._keep(values=frozen(state["values"]), _rows=None)

    def __repr__(self) -> str:
        shown = [repr(name) for name in self.values[:3].tolist()]
        return f"Ids({', '.join([str(len(self)), *shown])}{', …' if len(self) > 3 else ''})"


def as_ids(ids: Any, count: int, argument: str) -> Ids | None:
    """`ids` as `Ids` of `count` items, or None where there are none."""
    if ids is None:
        return None
    given = ids if isinstance(ids, Ids) else Ids(ids, argument)
    if len(given) != count:
        raise rule(argument, f"must have one id for each of the {count} rows", f"{len(given)} ids")
    return given


def same_ids(one: Ids | None, other: Ids | None) -> bool:
    """Whether two lists of ids, either of which may be absent, are the same."""
    return one is other or (one is not None and other is not None and one == other)


def _checked(ids: Any, argument: str) -> AnyArray:
    """A new array of int64 or text in which nothing comes twice."""
    array = np.array(to_numpy(ids, argument))
    if array.dtype.kind in "fO" and isinstance(ids, list | tuple) and set(map(type, ids)) == {int}:
        raise rule(argument, "must fit 64-bit integers", max(ids, key=abs))  # what NumPy made of them are no integers
    if array.ndim != 1 or array.dtype.kind not in "iuUSO":
        raise rule(argument, "must be a list of texts or integers", f"{array.dtype}, shape {array.shape}")
    if array.dtype.kind in "SO":
        ids = [_text_of(one, argument) for one in array.tolist()]
        array = np.array(ids)
    elif array.dtype.kind in "iu":
        if array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise rule(argument, "must fit 64-bit integers", int(array.max()))
        array = array.astype(np.int64)
    if array.dtype.kind == "U" and isinstance(ids, list | tuple) and any(str(one).endswith("\0") for one in ids):
        raise rule(argument, "must not end in the character 0, which arrays of texts lose", "a text that does")
    if not _is_unique(array, ids):
        if isinstance(ids, list | tuple) and {int, str} <= set(map(type, ids)) and len(set(ids)) == len(ids):
            raise rule(argument, "must be all texts or all whole numbers, since '1' and 1 are one name", "both")
        values, counts = np.unique(array, return_counts=True)
        raise rule(argument, "must be unique", _repeated(values[counts > 1]))
    return array


def _is_unique(array: AnyArray, given: Any) -> bool:
    if bool(np.all(array[1:] > array[:-1])):  # ids often ascend
        return True
    # A set of texts is several times faster than sorting them, most of all of texts that are there already.
    texts = isinstance(given, list | tuple) and set(map(type, given)) == {str}
    return len(set(given if texts else array.tolist())) == len(array)


def _check_once(rows: IntArray, values: AnyArray) -> None:
    taken = np.bincount(rows, minlength=1) if rows.dtype != np.bool_ and rows.size else np.zeros(1)
    if int(taken.max()) > 1:
        raise rule("ids", "must be unique", _repeated(values[np.flatnonzero(taken > 1)]))


def _repeated(values: AnyArray) -> str:
    return f"{len(values)} repeated ids, such as {values[:3].tolist()}"


def _text_of(one: Any, argument: str) -> str:
    if isinstance(one, bytes):
        try:
            return one.decode()
        except UnicodeDecodeError as cause:
            raise rule(argument, "must be texts in UTF-8", one) from cause
    if one is None or isinstance(one, float | bool) or (str(one) in ("NaT", "<NA>") and not isinstance(one, str)):
        raise rule(argument, "must be a list of texts or integers", one)
    return str(one)
