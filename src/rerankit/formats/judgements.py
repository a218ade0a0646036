"""Relevance as named arrays, alone or beside a problem, and back."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import InputError
from rerankit.formats.content import Tables
from rerankit.pairs import Pairs
from rerankit.relevance import Relevance

NAMES = {
    "kind", "relevance", "query_labels", "gallery_labels", "relevance/indptr", "relevance/indices",
    "relevance/grades", "relevance/shape", "relevance/excluded_indptr", "relevance/excluded_indices",
}  # fmt: skip
LEFT_OUT = ("excluded/indptr", "excluded/indices")
"""Items left out of a problem or a ranking."""


def has_relevance(tables: Tables) -> bool:
    """Whether there is relevance, alone or beside a problem."""
    return any(name in NAMES - {"kind"} for name in tables)


def shape_of(tables: Tables) -> tuple[int, ...] | None:
    """The shape of the relevance, or None where there is none."""
    if "relevance" in tables:
        return tables["relevance"].shape
    if "query_labels" in tables and "gallery_labels" in tables:
        return len(tables["query_labels"]), len(tables["gallery_labels"])
    return tuple(int(size) for size in tables["relevance/shape"]) if "relevance/shape" in tables else None


def to_relevance(tables: Tables) -> Relevance:
    """The relevance that named arrays describe, alone or beside a problem."""
    if "relevance" in tables:
        return Relevance.from_dense(tables["relevance"])
    if "query_labels" in tables and "gallery_labels" in tables:
        return Relevance.from_labels(tables["query_labels"], tables["gallery_labels"])
    needed = ("indptr", "indices", "shape")
    missing = [f"relevance/{name}" for name in needed if f"relevance/{name}" not in tables]
    if missing:
        raise InputError(
            f"relevance is a matrix 'relevance', or query_labels + gallery_labels, or relevance/indptr, "
            f"relevance/indices and relevance/shape (got {', '.join(sorted(tables))})"
        )
    shape = [int(size) for size in tables["relevance/shape"]]
    rows, columns = _cells(tables, "relevance/indptr", "relevance/indices", shape[0])
    out = None
    if "relevance/excluded_indptr" in tables:
        out = _cells(tables, "relevance/excluded_indptr", "relevance/excluded_indices", shape[0])
    return Relevance(rows, columns, (shape[0], shape[1]), tables.get("relevance/grades"), exclude=out)


def from_relevance(relevance: Relevance) -> Tables:
    """Named arrays for relevance."""
    tables = Tables(
        {f"relevance/{name}": getattr(relevance, name) for name in ("indptr", "indices", "grades")},
    )
    tables["relevance/shape"] = np.array(relevance.shape)
    if len(relevance.excluded):
        tables["relevance/excluded_indptr"] = relevance.excluded.indptr
        tables["relevance/excluded_indices"] = relevance.excluded.indices
    return tables


def to_left_out(tables: Tables) -> tuple[AnyArray, AnyArray] | None:
    if not any(name in tables for name in LEFT_OUT):
        return None
    missing = [name for name in LEFT_OUT if name not in tables]
    if missing:
        raise InputError(f"items left out are {' and '.join(LEFT_OUT)} (got no {missing[0]})")
    return _cells(tables, *LEFT_OUT, len(tables[LEFT_OUT[0]]) - 1)


def from_left_out(excluded: Pairs | None) -> Tables:
    return Tables() if excluded is None else Tables(zip(LEFT_OUT, (excluded.indptr, excluded.indices), strict=True))


def _cells(tables: Tables, indptr: str, indices: str, queries: int) -> tuple[AnyArray, AnyArray]:
    starts, columns = np.asarray(tables[indptr]), np.asarray(tables[indices])
    if len(starts) != queries + 1 or np.any(np.diff(starts) < 0) or starts[0] != 0 or starts[-1] != len(columns):
        raise InputError(f"'{indptr}' must have {queries + 1} ascending entries that end at the size of '{indices}'")
    return np.repeat(np.arange(queries), np.diff(starts)), columns
