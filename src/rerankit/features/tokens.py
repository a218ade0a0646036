"""Several vectors for each item: tokens, patches, turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import AnyArray, IntArray, frozen, numbers
from rerankit.errors import InputError, rule
from rerankit.features.base import Feature, array_pieces


class Tokens(Feature):
    """Several vectors (or numbers) for each item: (items, T, d), or one array (T, d) for each item, of uneven T.

    `counts` (items,) says how many of the T are real, which come first. An item of a list may be None: it has none.
    Arrays stay where they are, a memory map on disk; `take` reads nothing.

    >>> Tokens([np.ones((2, 4)), np.ones((3, 4)), None])
    Tokens(3 items × up to 3 × 4)
    """

    kind: ClassVar[str] = "tokens"
    values: AnyArray | tuple[AnyArray | None, ...]
    rows: IntArray
    counts: IntArray | None

    def __init__(self, values: Any, *, counts: Any = None, argument: str = "tokens") -> None:
        if isinstance(values, list | tuple):
            if counts is not None:
                raise InputError(f"'{argument}' as a list has its own counts: give no 'counts'")
            kept: Any = tuple(None if one is None else frozen(numbers(one, argument)) for one in values)
            _check_widths(kept, argument)
        else:
            kept = frozen(numbers(values, argument))
            if kept.ndim != 3 or 0 in kept.shape[1:]:
                raise rule(argument, "must have the shape (items, tokens, width)", f"shape {kept.shape}")
            counts = None if counts is None else _counted(counts, kept.shape, argument)
        self._keep(values=kept, rows=np.arange(len(kept)), counts=counts)

    @property
    def ragged(self) -> bool:
        """Whether each item has an array of its own."""
        return isinstance(self.values, tuple)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(items, most tokens of an item, width)."""
        if isinstance(self.values, tuple):
            shapes = [(len(one), one.shape[1]) for one in self.values if one is not None]
            return len(self), max((size for size, _ in shapes), default=0), shapes[0][1] if shapes else 0
        return len(self), self.values.shape[1], self.values.shape[2]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> AnyArray | None:
        """The tokens (T, d) of one item, or None."""
        own: AnyArray | None = self.values[self.rows[row]]
        return own if own is None or self.counts is None else own[: self.counts[row]]

    def take(self, rows: IntArray) -> Tokens:
        counts = None if self.counts is None else self.counts[rows]
        return self.from_checked(values=self.values, rows=self.rows[rows], counts=counts)

    def padded(self) -> AnyArray:
        """All tokens as one array (items, T, d), the given one where that is all of it; not for ragged ones."""
        if isinstance(self.values, tuple):
            raise InputError("tokens of uneven numbers have no common array")
        whole = len(self.rows) == len(self.values) and np.array_equal(self.rows, np.arange(len(self.rows)))
        return self.values if whole else self.values[self.rows]

    def pieces(self) -> Iterator[bytes]:
        for row in range(len(self)):
            one = self[row]
            yield from [b"none"] if one is None else array_pieces(one)

    def to_arrays(self) -> dict[str, AnyArray]:
        if not self.ragged:
            return {"": self.padded()} if self.counts is None else {"values": self.padded(), "counts": self.counts}
        found = [self[row] for row in range(len(self))]
        real = [one for one in found if one is not None]
        counts = np.array([-1 if one is None else len(one) for one in found], np.int64)
        return {"tokens": np.concatenate(real) if real else np.zeros((0, 1), np.float32), "counts": counts}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray], argument: str) -> Tokens:
        """What `to_arrays` gave."""
        if "values" in arrays:
            return cls(arrays["values"], counts=arrays["counts"], argument=argument)
        counts, tokens = np.asarray(arrays["counts"]), arrays["tokens"]
        sizes = np.maximum(counts, 0)
        if counts.dtype.kind not in "iu" or sizes.sum() != len(tokens):
            raise rule(f"{argument}/counts", f"must add up to the {len(tokens)} tokens", int(sizes.sum()))
        ends = np.cumsum(sizes)
        parts = [tokens[end - size : end] for end, size in zip(ends, sizes, strict=True)]
        return cls([None if count < 0 else part for count, part in zip(counts, parts, strict=True)], argument=argument)

    def __repr__(self) -> str:
        items, most, width = self.shape
        return f"Tokens({items} items × {'up to ' * (self.ragged or self.counts is not None)}{most} × {width})"


def _check_widths(values: tuple[AnyArray | None, ...], argument: str) -> None:
    widths = set()
    for row, one in enumerate(values):
        if one is not None and one.ndim != 2:
            raise rule(
                argument, "as a list must hold an array (tokens, width) for each item", f"{one.shape} at row {row}"
            )
        if one is not None:
            widths.add(one.shape[1])
    if len(widths) > 1:
        raise rule(argument, "must have vectors of one width", f"widths {sorted(widths)}")


def _counted(counts: Any, shape: tuple[int, ...], argument: str) -> IntArray | None:
    found = numbers(counts, f"{argument} counts").astype(np.int64)
    if found.shape != shape[:1]:
        raise rule(
            f"{argument} counts", f"must have one entry for each of the {shape[0]} items", f"shape {found.shape}"
        )
    if found.size and (found.min() < 0 or found.max() > shape[1]):
        raise rule(f"{argument} counts", f"must lie in 0…{shape[1]}", f"{found.min()}…{found.max()}")
    return None if (found == shape[1]).all() else found
