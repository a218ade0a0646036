"""xarray: arrays with two dimensions, whose coordinates are ids."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit.adapters.table import Table
from rerankit.columns import PAIRS
from rerankit.errors import InputError


class XarrayTable(Table):
    """A data array: its first dimension are the rows."""

    def __init__(self, array: Any) -> None:
        if array.ndim != 2:
            raise InputError(f"an array of xarray must have two dimensions (got {array.dims})")
        if tuple(array.dims[::-1]) in PAIRS:
            raise InputError(f"an array of xarray must have queries first (got {array.dims}): give array.T")
        self._array = array
        rows, columns = (np.asarray(array[dim]) if dim in array.coords else None for dim in array.dims)
        self.labels, self.numbered = rows, columns is None
        self.names = list(range(array.shape[1])) if columns is None else columns.tolist()

    def column(self, name: Any) -> NDArray[Any]:
        return self.matrix([name])[:, 0]

    def kinds(self) -> list[str]:
        return ["real" if self._array.dtype.kind in "fiu" else "other"] * len(self.names)

    def matrix(self, names: list[Any]) -> NDArray[Any]:
        found: NDArray[Any] = self._array.to_numpy()
        return found if names == self.names else found[:, [self.names.index(name) for name in names]]


def opened(value: Any) -> Table | None:
    """The table that a data array is, or None."""
    kind = getattr(sys.modules.get("xarray"), "DataArray", None)
    return XarrayTable(value) if kind is not None and isinstance(value, kind) else None
