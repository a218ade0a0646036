"""MATLAB's `.mat` of version 5 to 7: named arrays, read only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.adapters import sparse
from rerankit.errors import FormatError
from rerankit.formats.content import AnyArray, Format, Tables
from rerankit.formats.scores import listed
from rerankit.reading.mat_file import MatFile, TextCells
from rerankit.reading.text import open_plain
from rerankit.scores import as_scores

_NAMES = ("_ids", "_labels")
_HDF5 = b"\x89HDF"


class MatFormat(Format):
    """Matrices of numbers, sparse ones too, and texts; `scores`, `queries`, `gallery` and the like mean what they do
    in other formats. Row numbers are refused, since MATLAB counts from 1.
    """

    name: ClassVar[str] = "mat"
    suffixes: ClassVar[tuple[str, ...]] = (".mat",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    description: ClassVar[str] = "MATLAB's named arrays of version 5 to 7, read only"

    def read(self, path: Path) -> Tables:
        """Every variable of the file."""
        with open_plain(path) as file:
            head = file.read(128)
            if head.startswith(_HDF5) or b"MATLAB 7.3" in head:
                raise FormatError(
                    f"{path}: files of MATLAB 7.3 are HDF5: open it with h5py and give the array itself, transposed, "
                    "since MATLAB's columns are its rows: Problem(h5py.File(path)['scores'][:].T), or save it with -v7"
                )
        tables = Tables()
        for name, value in MatFile(path).variables().items():
            tables |= _arrays(path, name, value)
        return tables

    def write(self, path: Path, content: Any) -> None:
        """Refuse: `.mat` is read only."""
        raise FormatError(f"{path}: .mat is only read: write .npz, from which scipy.io.savemat makes one")


def _arrays(path: Path, name: str, value: Any) -> dict[str, AnyArray]:
    if name in ("indices", "gallery_size"):
        rule = "numbers of rows are counted from 1 by MATLAB, and from 0 here: give 'scores', sparse if need be"
        raise FormatError(f"{path}: '{name}': {rule}")
    if sparse.is_sparse(value):
        return _sparse(path, name, value)
    if isinstance(value, TextCells):
        return {name: np.array(value.texts)}
    array = np.asarray(value)
    # Everything of MATLAB has two dimensions; a list of names is one row or one column.
    return {name: array.reshape(-1) if name.endswith(_NAMES) or array.dtype.kind == "U" else array}


def _sparse(path: Path, name: str, value: Any) -> dict[str, AnyArray]:
    if name == "scores":
        scores = as_scores(value, name)
        indices, values = listed(scores)
        return {"indices": indices, "scores": values, "gallery_size": np.array(scores.shape[1])}
    if name == "relevance":
        cells = sparse.opened(value, name)
        assert cells is not None
        starts = np.searchsorted(cells.rows, np.arange(cells.shape[0] + 1))
        parts = {"indptr": starts, "indices": cells.columns, "grades": cells.values, "shape": np.array(cells.shape)}
        return {f"relevance/{part}": array for part, array in parts.items()}
    raise FormatError(f"{path}: '{name}' is sparse, which only scores and relevance may be")
