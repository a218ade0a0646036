"""Regions of Visual Genome's images, in their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.errors import FormatError
from rerankit.features import Regions
from rerankit.features.base import file_pieces
from rerankit.formats.npz import NpzFormat
from rerankit.reading import read_pickle
from rerankit.reading.npy_arrays import map_npy
from rerankit.tasks.base import refuse

FEATURES = "vg/region_36_final"


class RegionFeatures(Mapping[str, Any]):
    """Regions of the images by their name, where there are any; their files are looked for when asked."""

    def __init__(self, data: Path, numbers: list[int], regions: int) -> None:
        self.data, self.numbers, self.slots = data, numbers, regions

    def __getitem__(self, name: str) -> RegionFiles:
        if name not in list(self):
            raise KeyError(name)
        return RegionFiles(self.data, self.numbers, self.slots)

    def __iter__(self) -> Iterator[str]:
        return iter(["regions"] if (self.data / FEATURES).is_dir() else [])

    def __len__(self) -> int:
        return len(list(iter(self)))


class RegionFiles(Regions):
    """Region vectors that stay in their files, one for each image, read block by block."""

    data: Path
    numbers: tuple[int, ...]
    slots: int
    dim: int

    def __init__(self, data: Path, numbers: Sequence[int], slots: int = 36) -> None:
        self._keep(data=Path(data), numbers=tuple(numbers), slots=slots, counts=None)
        missing = [number for number in self.numbers if _region_file(self.data, number) is None]
        refuse(self.data / FEATURES, "must have a file for each image", missing, len(self.numbers))
        first = _region_file(self.data, self.numbers[0])
        assert first is not None
        self._keep(dim=read_regions(first).shape[1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, most regions, D)."""
        return len(self.numbers), self.slots, self.dim

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, row: int) -> AnyArray:
        values, counts = self.block(slice(row, row + 1))
        return values[0, : counts[0]]

    def take(self, rows: IntArray) -> RegionFiles:
        return self.from_checked(**{**self.__dict__, "numbers": tuple(self.numbers[row] for row in rows.tolist())})

    def pieces(self) -> Iterator[bytes]:
        for number in self.numbers:
            yield from file_pieces(_region_file(self.data, number))

    def to_arrays(self) -> dict[str, AnyArray]:
        values, counts = self.block(slice(None))
        return {"regions": values, "counts": counts}

    def block(self, rows: slice) -> tuple[FloatArray, IntArray]:
        """Some images' vectors, padded with zeros, and how many each has."""
        numbers = self.numbers[rows]
        values = np.zeros((len(numbers), self.slots, self.dim), np.float32)
        counts = np.zeros(len(numbers), np.int64)
        for row, number in enumerate(numbers):
            path = _region_file(self.data, number)
            assert path is not None
            found = read_regions(path)
            if found.shape[1] != self.dim or not 1 <= len(found) <= self.slots:
                raise FormatError(
                    f"{path}: must hold 1 to {self.slots} regions of width {self.dim} (got shape {found.shape})"
                )
            values[row, : len(found)], counts[row] = found, len(found)
        bad = np.array(numbers)[~np.isfinite(values).all(axis=(1, 2))]
        refuse(self.data / FEATURES, "must be finite", bad.tolist(), len(numbers))
        return values, counts


def read_regions(path: Path) -> AnyArray:
    """Region vectors (R, D) of one image: an .npz with `region_feats`, an array, or DrillDown's pickled dict."""
    array = _region_array(path)
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        got = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise FormatError(f"{path}: must hold an array (regions, dim) (got {got})")
    return array


def _region_array(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(6)
    if head == b"\x93NUMPY":
        return map_npy(path, "region_feats")
    content = NpzFormat().read(path) if head.startswith(b"PK") else read_pickle(path)
    if not isinstance(content, Mapping) or "region_feats" not in content:
        raise FormatError(f"{path}: must have 'region_feats' (got {type(content).__name__})")
    return content["region_feats"]


def _region_file(data: Path, number: int) -> Path | None:
    folder = data / FEATURES
    names = (f"{number:012d}.npz", f"{number:012d}.npy", f"{number}.npz", f"{number}.npy")
    return next((folder / name for name in names if (folder / name).is_file()), None)
