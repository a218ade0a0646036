"""Sparse matrices of SciPy and torch: what is stored is known, and everything else is absent."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import rule


class SparseCells(NamedTuple):
    """The stored cells of a sparse matrix other than zeros, each of them once."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[Any]
    shape: tuple[int, int]


def opened(value: Any, argument: str) -> SparseCells | None:
    """The cells of a sparse matrix, or None for anything else; zeros are absent, whether they are stored or not."""
    found = _of_torch(value, argument) if _is_torch(value) else _of_scipy(value, argument)
    if found is None:
        return None
    if found.values.dtype.kind not in "fiu":
        raise rule(argument, "must hold real numbers", f"dtype {found.values.dtype}")
    if 0 in found.shape or not np.any(found.values != 0):
        raise rule(argument, "must have at least one cell other than zero", f"shape {found.shape}")
    there = found.values != 0
    return SparseCells(found.rows[there], found.columns[there], found.values[there], found.shape)


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix of SciPy or torch."""
    return _is_torch(value) or (hasattr(value, "tocoo") and hasattr(value, "tocsr"))


def _is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor) and str(value.layout) != "torch.strided"


def _of_torch(tensor: Any, argument: str) -> SparseCells:
    if tensor.ndim != 2 or tensor.dense_dim():
        raise rule(argument, "must have two dimensions", f"shape {tuple(tensor.shape)}")
    tensor = tensor.detach().to_sparse_coo().coalesce().cpu()
    values = tensor.values()
    if values.is_floating_point():
        values = values.double() if values.element_size() == 8 else values.float()
    rows, columns = tensor.indices().numpy()
    return SparseCells(rows, columns, values.numpy(), (int(tensor.shape[0]), int(tensor.shape[1])))


def _of_scipy(value: Any, argument: str) -> SparseCells | None:
    if not is_sparse(value):
        return None
    if value.ndim != 2:
        raise rule(argument, "must have two dimensions", f"shape {value.shape}")
    cells = value.tocsr().tocoo()  # cells that come twice are added up, as they are everywhere in SciPy
    return SparseCells(cells.row.astype(np.int64), cells.col.astype(np.int64), cells.data, cells.shape)
