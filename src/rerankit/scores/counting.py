"""How many rows of a column score above some values, by products in single precision that are made exact in doubt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores.products import Products
from rerankit.scores.topk import ascending_bits, flat_nonzero
from rerankit.threads import in_threads

_TALL = 1024  # columns that are counted in together, at most
_WIDE = 4096  # rows whose scores are made at once, at least
_PIECE = 64  # columns that a thread looks through at once
_HIT_BYTES = 80  # that a row takes which scores near or above a column's lowest value
_SHIFT = np.uint64(32)


def counts_above(
    products: Products, columns: IntArray, values: FloatArray, less: AnyArray
) -> tuple[IntArray, IntArray]:
    """How many rows score above each value (n,) in its column (n,), and how many score as much; columns ascend.

    `less` (rows,) is taken from the scores of each row first. Scores are products, no distances.
    """
    transposed, shift = products.T.holding(), less.astype(np.float32)
    wanted, starts = np.unique(columns, return_index=True)
    starts = np.append(starts, len(columns))
    above, equal = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
    parts = [slice(at, min(at + _TALL, len(wanted))) for at in range(0, len(wanted), _TALL)]
    while parts:
        part = parts.pop()
        mine = slice(starts[part.start], starts[part.stop])
        lines = np.repeat(np.arange(part.stop - part.start), np.diff(starts[part.start : part.stop + 1]))
        found = _counted(transposed, wanted[part], lines, values[mine], shift)
        if found is None:  # too many to be kept at once
            middle = (part.start + part.stop) // 2
            parts += [slice(part.start, middle), slice(middle, part.stop)]
        else:
            above[mine], equal[mine] = found
    return above, equal


def _counted(
    transposed: Products, items: IntArray, lines: IntArray, values: FloatArray, shift: FloatArray
) -> tuple[IntArray, IntArray] | None:
    """The same for values of some items, `lines` says which; `transposed` has items for rows. None where several items
    have more rows near their values than the memory budget has room for.
    """
    doubt = np.broadcast_to(transposed.doubt(items)[:, 0], items.shape).astype(np.float32)
    lowest = np.full(len(items), np.inf, np.float32)
    np.minimum.at(lowest, lines, values)
    hits, left = [], settings.memory_budget() // _HIT_BYTES
    for hit in _hits(transposed, items, lowest - doubt, shift):
        hits.append(hit)
        left -= len(hit[0])
        if left < 0 and len(items) > 1:
            return None
    hit_lines, rows, scores = (np.concatenate(each) for each in zip(*hits, strict=True))
    keys = _keys(hit_lines, scores)
    by_key = np.argsort(keys)
    keys, rows = keys[by_key], rows[by_key]
    # Scores that are nearer to a value than single precision tells.
    first = np.searchsorted(keys, _keys(lines, values - doubt[lines]))
    behind = np.searchsorted(keys, _keys(lines, values + doubt[lines]), side="right")
    many = len(keys) + 1
    near = np.flatnonzero(np.cumsum(np.bincount(first, minlength=many) - np.bincount(behind, minlength=many))[:-1])
    near_lines = (keys[near] >> _SHIFT).astype(np.int64)
    keys[near] = _keys(near_lines, _exact(transposed, items, near_lines, rows[near], shift))
    keys.sort()
    wanted = _keys(lines, values)
    not_above = np.searchsorted(keys, wanted, side="right")
    ends = np.searchsorted(keys, (lines.astype(np.uint64) + np.uint64(1)) << _SHIFT)
    return ends - not_above, not_above - np.searchsorted(keys, wanted)


def _hits(
    transposed: Products, items: IntArray, bound: FloatArray, shift: FloatArray
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Fast scores above each item's bound: the item's line, the row and the score."""
    vectors = transposed.of_rows.read(items)
    width, count = transposed.of_rows.width, len(transposed.of_columns)
    wide = max(_WIDE, min(settings.memory_budget() // 16 // _TALL, settings.memory_budget() // (16 * width)))
    for at in range(0, count, wide):
        values = transposed.fast(vectors, transposed.of_columns.read(slice(at, at + wide)), None)

        def one(start: int, values: FloatArray = values, at: int = at) -> tuple[IntArray, IntArray, FloatArray]:
            piece = values[start : start + _PIECE]
            piece -= shift[at : at + piece.shape[1]]
            hits = flat_nonzero(piece > bound[start : start + _PIECE, None])
            lines = hits // piece.shape[1]
            return start + lines, at + hits - lines * piece.shape[1], piece.reshape(-1)[hits]

        yield from in_threads(one, range(0, len(items), _PIECE))


def _exact(transposed: Products, items: IntArray, lines: IntArray, rows: IntArray, shift: FloatArray) -> FloatArray:
    """Exact scores of some cells, whose lines ascend, less what is taken from their rows."""
    counts = np.bincount(lines, minlength=len(items))
    place = np.arange(len(lines)) - np.repeat(np.cumsum(counts) - counts, counts)
    named = np.zeros((len(items), max(1, int(counts.max(initial=0)))), np.int64)
    named[lines, place] = rows
    found: FloatArray = transposed.first_of(items, named, counts)[lines, place] - shift[rows]
    return found


def _keys(lines: IntArray, scores: FloatArray) -> NDArray[np.uint64]:
    """Keys that ascend by line, and with the score in it."""
    keys: NDArray[np.uint64] = lines.astype(np.uint64) << _SHIFT | ascending_bits(scores).astype(np.uint64)
    return keys
