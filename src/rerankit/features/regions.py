"""Regions of pictures: several vectors for each, read block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, frozen, leave_on_disk, to_numpy
from rerankit.errors import InputError, rule
from rerankit.features.base import Feature, array_pieces
from rerankit.finite import check_finite

_SHOWN = 3


class Regions(Feature):
    """Region vectors of pictures: `values` (pictures, R, d) and how many of them each picture has, (pictures,).

    `mask` (pictures, R) or `counts` (pictures,) says which are real; the real ones come first. A list of
    (R_i, d) arrays brings its own counts. Vectors stay where they are: a memory map is read block by block.

    >>> Regions([np.ones((2, 4)), np.ones((3, 4))])
    Regions(2 images × up to 3 regions × 4)
    """

    kind: ClassVar[str] = "regions"
    values: AnyArray
    rows: IntArray
    counts: IntArray | None

    def __init__(self, values: Any, mask: Any = None, *, counts: Any = None, argument: str = "regions") -> None:
        if isinstance(values, list | tuple) and not (mask is not None or counts is not None):
            values, counts = _stacked(values, argument)
        array = to_numpy(values, argument)
        if array.dtype == object or array.dtype.kind not in "fiu":
            raise rule(argument, "must hold real numbers in three dimensions", f"dtype {array.dtype}")
        if array.ndim != 3 or 0 in array.shape:
            raise rule(argument, "must have the shape (images, regions, dim) and not be empty", f"shape {array.shape}")
        known = counts_of(mask, counts, array.shape[:2], argument)
        self._keep(values=frozen(array), rows=np.arange(len(array)), counts=known)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(pictures, R, d)."""
        return len(self), self.values.shape[1], self.values.shape[2]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> AnyArray:
        """The vectors (R, d) of one picture."""
        own: AnyArray = self.values[self.rows[row]]
        return own if self.counts is None else own[: self.counts[row]]

    def take(self, rows: IntArray) -> Regions:
        return self.from_checked(
            values=self.values, rows=self.rows[rows], counts=None if self.counts is None else self.counts[rows]
        )

    def block(self, rows: slice) -> tuple[FloatArray, IntArray]:
        """Some pictures' vectors in float32, checked, and their counts."""
        values = np.asarray(self.values[self.rows[rows]], dtype=np.float32)
        leave_on_disk(self.values)
        counts = np.full(len(values), self.shape[1]) if self.counts is None else self.counts[rows]
        check_finite(values.reshape(len(values), -1), "regions", rows.start or 0)
        if self.counts is None:
            _refuse_padding(values, rows.start or 0)
        return values, counts

    def within(self, rows: slice, slots: int) -> tuple[FloatArray, IntArray]:
        """Some pictures' vectors in at most `slots` places, and their counts; more regions than that are refused."""
        values, counts = self.block(rows)
        if int(counts.max()) > slots:
            raise rule("regions", f"must have at most {slots} regions an image, as the network", int(counts.max()))
        return values[:, :slots], counts

    def pieces(self) -> Iterator[bytes]:
        for row in range(len(self)):
            yield from array_pieces(self[row])

    def to_arrays(self) -> dict[str, AnyArray]:
        whole = len(self.rows) == len(self.values) and np.array_equal(self.rows, np.arange(len(self.rows)))
        counts = np.full(len(self), self.shape[1]) if self.counts is None else self.counts
        return {"regions": self.values if whole else self.values[self.rows], "counts": counts}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray], argument: str) -> Regions:
        """What `to_arrays` gave."""
        return cls(arrays["regions"], counts=arrays.get("counts"), argument=argument)

    def __repr__(self) -> str:
        images, size, dim = self.shape
        return f"Regions({images} images × {'up to ' * (self.counts is not None)}{size} regions × {dim})"


def _refuse_padding(values: FloatArray, first: int) -> None:
    """A zero vector without a mask is undeclared padding; counted as a region it would bend every mean."""
    zero = (values == 0).all(axis=2)
    if zero.any():
        images = np.flatnonzero(zero.any(axis=1)) + first
        raise InputError(
            f"'regions' has zero vectors in {len(images)} images (the first: {images[:_SHOWN].tolist()}) and no "
            "mask: when images have different numbers of regions, give Regions(values, mask=… or counts=…)"
        )


def _stacked(values: Sequence[Any], argument: str) -> tuple[AnyArray, IntArray | None]:
    """A list of (R_i, d) arrays as one padded array and counts."""
    arrays = [to_numpy(value, argument) for value in values]
    if not arrays or any(array.ndim != 2 or 0 in array.shape for array in arrays):
        raise rule(argument, "as a list must hold (regions, dim) arrays with at least one region", "another shape")
    dims = {array.shape[1] for array in arrays}
    if len(dims) > 1:
        raise rule(argument, "must have vectors of one width", f"widths {sorted(dims)}")
    counts = np.array([len(array) for array in arrays])
    padded = np.zeros((len(arrays), int(counts.max()), dims.pop()), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded, counts if len(set(counts.tolist())) > 1 else None


def counts_of(mask: Any, counts: Any, shape: tuple[int, ...], argument: str) -> IntArray | None:
    """Valid entries of each row from a mask whose true entries come first, or from counts; None when all are."""
    rows, size = shape[0], shape[1]
    if mask is not None:
        keep = to_numpy(mask, f"{argument} mask").astype(bool)
        if keep.shape != (rows, size):
            raise rule(f"{argument} mask", f"must have shape {(rows, size)}", f"shape {keep.shape}")
        counts = keep.sum(axis=1)
        late = np.flatnonzero((keep[:, 1:] & ~keep[:, :-1]).any(axis=1))
        if len(late):
            raise rule(
                f"{argument} mask", "must keep a row's first entries and drop the rest", f"gaps in row {late[0]}"
            )
    if counts is None:
        return None
    array = to_numpy(counts, f"{argument} counts").astype(np.int64)
    if array.shape != (rows,):
        raise rule(f"{argument} counts", f"must have one entry for each of the {rows} rows", f"shape {array.shape}")
    bad = np.flatnonzero((array < 1) | (array > size))
    if len(bad):
        raise rule(
            f"{argument} counts", f"must be in 1…{size}", f"{array[bad[0]]} in row {bad[0]}, {len(bad)} such rows"
        )
    return None if (array == size).all() else array
