"""Pictures of items: paths, PIL pictures or arrays."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import AnyArray, IntArray, frozen, numbers
from rerankit.errors import InputError, rule
from rerankit.features.base import Feature, array_pieces, check_entries, file_pieces
from rerankit.pictures import open_image


class Pictures(Feature):
    """A picture for each item: paths, PIL pictures, or arrays (height, width, 3), all items of one sort.

    Nothing is opened here; `rerankit.pictures.open_image` opens what `pictures[row]` gives. Items that share a picture
    (the same path, the same object, the same row before `take`) have the same `key`.

    >>> pictures = Pictures(["a.png", "b.png", "a.png"])
    >>> pictures, pictures[1].name, pictures.key(0) == pictures.key(2)
    (Pictures(3 items, paths), 'b.png', True)
    """

    kind: ClassVar[str] = "pictures"
    values: tuple[Any, ...] | AnyArray
    rows: IntArray

    def __init__(self, values: Any, argument: str = "pictures") -> None:
        check_entries(values, argument)
        many: Any = values
        if hasattr(values, "shape") and getattr(values, "ndim", 0) != 1:
            many = frozen(numbers(values, argument))
            if many.ndim != 4:
                raise rule(argument, "as an array must have the shape (items, height, width, 3)", f"{many.shape}")
        else:
            many = tuple(Path(one) if isinstance(one, str | os.PathLike) else one for one in values)
            _check(many, argument)
        self._keep(values=many, rows=np.arange(len(many)))

    @property
    def paths(self) -> bool:
        """Whether the pictures are given by their paths."""
        return isinstance(self.values, tuple) and all(isinstance(one, Path) for one in self.values)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return self.values[self.rows[row]]

    def key(self, row: int) -> Hashable:
        """What items with the same picture have in common."""
        number = int(self.rows[row])
        if not isinstance(self.values, tuple):
            return number
        given = self.values[number]
        return os.fspath(given) if isinstance(given, Path) else ("object", id(given))

    def take(self, rows: IntArray) -> Pictures:
        return self.from_checked(values=self.values, rows=self.rows[rows])

    def pieces(self) -> Iterator[bytes]:
        for one in self:
            yield from file_pieces(one) if isinstance(one, Path) else array_pieces(np.asarray(one))

    def to_arrays(self) -> dict[str, AnyArray]:
        if self.paths:
            return {"paths": np.array([os.fspath(one) for one in self], dtype=np.str_)}
        if not isinstance(self.values, tuple):
            return {"pixels": self.values[self.rows]}
        found = [_pixels(one, row) for row, one in enumerate(self)]
        sizes = np.array([one.shape[:2] for one in found], np.int64).reshape(-1, 2)
        return {"pixels": np.concatenate([one.reshape(-1) for one in found]), "sizes": sizes}

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray], argument: str) -> Pictures:
        """What `to_arrays` gave."""
        if "paths" in arrays:
            return cls(arrays["paths"].tolist(), argument)
        if "sizes" not in arrays:
            return cls(arrays["pixels"], argument)
        sizes = np.asarray(arrays["sizes"])
        ends = np.cumsum(3 * sizes.prod(axis=1))
        if sizes.ndim != 2 or sizes.shape[1] != 2 or not len(ends) or ends[-1] != len(arrays["pixels"]):
            raise rule(f"{argument}/sizes", "must be the height and width of every picture in 'pixels'", sizes.shape)
        parts = np.split(arrays["pixels"], ends[:-1])
        return cls([part.reshape(*size, 3) for part, size in zip(parts, sizes.tolist(), strict=True)], argument)

    def __repr__(self) -> str:
        return f"Pictures({len(self)} items, {'paths' if self.paths else 'in memory'})"


def _check(values: tuple[Any, ...], argument: str) -> None:
    sorts = set()
    for row, one in enumerate(values):
        sort = "paths" if isinstance(one, Path) else "in memory" if hasattr(one, "__array_interface__") else "tensor"
        if sort == "tensor" and not hasattr(one, "detach"):
            raise rule(argument, "must hold paths, PIL pictures or arrays (height, width, 3)", f"{one!r} at row {row}")
        sorts.add("paths" if sort == "paths" else "in memory")
    if len(sorts) > 1:
        raise InputError(f"'{argument}' must hold paths for all items or pictures for all items (got both)")


def _pixels(picture: Any, row: int) -> AnyArray:
    """A picture in memory as bytes (height, width, 3)."""
    return np.asarray(open_image(picture, f"picture {row}"))
