"""MaxSim by NumPy: one product for a query's tokens and those of its candidates, in blocks within the memory budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rerankit import settings
from rerankit.arrays import FloatArray, IntArray
from rerankit.finite import check_finite
from rerankit.stages.maxsim.packed import Packed

_SHARED = 1.5
"""How many times the needed products may be made where queries share candidates: one large product is faster."""
_TOGETHER = 64  # queries that may share a product
_CACHED = 1_000_000  # bytes of tokens that are read and multiplied before they leave the cache


def maxsim(queries: Packed, items: Packed, indices: IntArray) -> FloatArray:
    """Scores (queries, K) of the items `indices`; −inf where there is none (−1)."""
    scores = np.full(indices.shape, -np.inf, np.float32)
    for start in range(0, len(indices), _TOGETHER):
        rows = np.arange(start, min(start + _TOGETHER, len(indices)))
        for group in groups(queries, items, rows, indices):
            _score(queries, items, group, indices, scores)
    return scores


def groups(queries: Packed, items: Packed, rows: IntArray, indices: IntArray) -> list[IntArray]:
    """Queries that share a product: all of some rows where they have most of their candidates in common, else each."""
    listed = indices[rows]
    tokens = np.where(listed >= 0, items.counts[listed], 0).sum(axis=1)
    union = np.unique(listed[listed >= 0])
    needed = float((tokens * queries.counts[rows]).sum())
    whole = float(items.counts[union].sum()) * float(queries.counts[rows].sum())
    return [rows] if len(rows) > 1 and whole <= _SHARED * needed else [rows[at : at + 1] for at in range(len(rows))]


def parts(queries: Packed, items: Packed, group: IntArray, wanted: IntArray) -> Iterator[IntArray]:
    """Items cut so that their tokens, and the product with the group's tokens, stay within the memory budget."""
    row_bytes = 4 * (items.width + int(queries.counts[group].sum()))
    most = max(1, min(settings.memory_budget() // (2 * row_bytes), _CACHED // (4 * items.width)))
    ends = np.cumsum(items.counts[wanted])
    at = 0
    while at < len(wanted):
        before = ends[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, before + most, "right")))
        yield wanted[at:stop]
        at = stop


def _score(queries: Packed, items: Packed, group: IntArray, indices: IntArray, scores: FloatArray) -> None:
    listed = indices[group]
    wanted = np.unique(listed[listed >= 0])
    if not len(wanted):
        return
    left = queries.read(group)
    starts = _starts(queries.counts[group])
    found = np.empty((len(group), len(wanted)), np.float32)
    cut = list(parts(queries, items, group, wanted))
    buffer = np.empty((max(int(items.counts[part].sum()) for part in cut), items.width), np.float32)
    at = 0
    for part in cut:
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            product = left @ items.read(part, buffer).T
        check_product(product, queries, items, group, part)
        best = np.maximum.reduceat(product, _starts(items.counts[part]), axis=1)
        found[:, at : at + len(part)] = np.add.reduceat(best, starts, axis=0)
        at += len(part)
    rows, places = np.nonzero(listed >= 0)
    scores[group[rows], places] = found[rows, np.searchsorted(wanted, listed[rows, places])]


def check_product(product: Any, queries: Packed, items: Packed, group: IntArray, part: IntArray) -> None:
    """Refuse products that are not finite: a token that is not, or numbers too large for float32.

    Every such token makes its products infinite or NaN, and their sum too; there are fewer of them than numbers in
    the tokens.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(float(product.sum())):
            return
    queries.check(group)
    items.check(part)
    check_finite(np.asarray(product), "products of tokens")


def _starts(counts: IntArray) -> IntArray:
    """Where each item's tokens begin among those of all."""
    return np.cumsum(counts) - counts
