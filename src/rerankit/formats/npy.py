"""NumPy's `.npy`: one array, mapped from the disk and never read whole."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from rerankit.formats.content import AnyArray, Format
from rerankit.reading.npy_arrays import map_npy


class NpyFormat(Format):
    """One array; memory-mapped."""

    name: ClassVar[str] = "npy"
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    holds: ClassVar[tuple[type, ...]] = (np.ndarray,)
    description: ClassVar[str] = "one array, memory-mapped"

    def read(self, path: Path) -> AnyArray:
        """A read-only memory map."""
        return map_npy(path, path.stem)

    def write(self, path: Path, content: AnyArray) -> None:
        """Write one array."""
        np.save(path, content, allow_pickle=False)
