"""What a stage knows of a gallery by name, as something that is written: arrays, sparse matrices and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from rerankit.arrays import AnyArray
from rerankit.pipelines.prepared import State
from rerankit.scores import NormalMap

_PARTS = ("data", "indices", "indptr")

Known = Mapping[str, Any]


def state_of(known: Known) -> State:
    """Everything known, to be written.

    >>> known_of(state_of({"weight": 0.5, "graph": sparse.csr_matrix([[0, 2.0]])}))["graph"].toarray()
    array([[0., 2.]])
    """
    arrays: dict[str, AnyArray] = {}
    values: dict[str, Any] = {}
    for name, one in known.items():
        if sparse.issparse(one):
            arrays |= {f"{name}/{part}": getattr(one, part) for part in _PARTS}
            matrix: Any = one
            values[name] = {"columns": matrix.shape[1]}
        elif isinstance(one, np.ndarray):
            arrays[name] = one
        else:
            values[name] = one
    return State(arrays, values)


def state_of_fields(named: Any) -> State:
    """The fields of a named tuple that are not None, to be written; `through` is a map of scores."""
    known = {name: value for name, value in named._asdict().items() if value is not None}
    return state_of(known | {"through": named.through.knots()} if named.through else known)


def fields_of(state: State) -> dict[str, Any]:
    """The fields that `state_of_fields` has written."""
    known = known_of(state)
    return known | {"through": NormalMap(*known["through"])} if "through" in known else known


def known_of(state: State) -> dict[str, Any]:
    """What `state_of` was given."""
    known: dict[str, Any] = {name: array for name, array in state.arrays.items() if "/" not in name}
    for name, value in state.values.items():
        if isinstance(value, dict):
            parts = tuple(state.arrays[f"{name}/{part}"] for part in _PARTS)
            known[name] = sparse.csr_matrix(parts, shape=(len(parts[2]) - 1, value["columns"]), copy=False)
        else:
            known[name] = value
    return known
