"""Numbers of items: one each, or a vector each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import AnyArray, IntArray, frozen, is_memory_map, numbers
from rerankit.errors import rule
from rerankit.features.base import Feature, array_pieces
from rerankit.finite import check_all_finite


class Vectors(Feature):
    """A number or a vector for each item: an array (items,) or (items, d) of numbers, kept as given and read-only.

    >>> vectors = Vectors([[1, 2], [3, 4], [5, 6]])
    >>> vectors, vectors.shape, vectors[0].tolist()
    (Vectors(3 items × 2, int64), (3, 2), [1, 2])
    """

    kind: ClassVar[str] = "vectors"
    values: AnyArray

    def __init__(self, values: Any, argument: str = "vectors") -> None:
        array = numbers(values, argument)
        if array.ndim not in (1, 2) or 0 in array.shape[1:]:
            raise rule(argument, "must have the shape (items,) or (items, d)", f"shape {array.shape}")
        if array.dtype.kind == "f" and array.size and not is_memory_map(array):
            check_all_finite(array.reshape(len(array), -1), argument)
        self._keep(values=frozen(array))

    @property
    def shape(self) -> tuple[int, ...]:
        """(items,) or (items, d)."""
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: Any) -> Any:
        return self.values[row]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return np.array(self.values, dtype) if copy else np.asarray(self.values, dtype)

    def take(self, rows: IntArray) -> Vectors:
        return self.from_checked(values=frozen(self.values[rows]))

    def pieces(self) -> Iterator[bytes]:
        return array_pieces(self.values)

    def to_arrays(self) -> dict[str, AnyArray]:
        return {"": self.values}

    def __repr__(self) -> str:
        width = "".join(f" × {size}" for size in self.shape[1:])
        return f"Vectors({len(self)} items{width}, {self.values.dtype})"
