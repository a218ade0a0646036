"""The first columns of every row, and the first rows of every column, by products in single precision that are made
exact where they leave a doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores.above import Above
from rerankit.scores.best import Best, Lowest
from rerankit.scores.blocks import blocks
from rerankit.scores.products import Products
from rerankit.scores.topk import order, topk_dense
from rerankit.threads import in_threads

_MORE = 16  # candidates beyond k, and a quarter of k, whose exact scores decide what the fast product cannot
_NARROW = 16  # times as many items as candidates: of fewer, all exact scores cost no more
_LEAST = 64  # rows that are worked on together, however small the memory budget
_KEY_BYTES = 24  # that one of a row's best takes while it is looked for
_ORDERED = 512  # rows that a thread puts in order at once
_TALL = 1024  # rows of a product: a matrix library is slower with fewer
_WIDE = 4096  # columns of a product, at least

Lists = tuple[IntArray, FloatArray]


class OfColumns(NamedTuple):
    """What is looked for in the columns while rows are searched: the first `k` rows of every column, from whose scores
    `less` (rows,) is taken first.
    """

    k: int
    less: AnyArray | None = None


def first_of_rows(products: Products, k: int, above: Above | None = None) -> Lists:
    """The first k columns of every row by the tie rule: indices and scores (rows, k). What scores above a bound on the
    way is kept in `above`, where all pairs are gone through.
    """
    if _narrow(len(products.of_columns), k):
        return _exact(products, np.arange(len(products.of_rows)), k)
    if products.of_rows is products.of_columns and _fits(len(products.of_rows), _more(k, len(products.of_rows))):
        held = products.holding()
        return _made_exact(held, np.arange(len(held.of_rows)), _best_among(held, k, ends=False)[0].lists(), k)
    return _searched(products.holding(), k, None, above)[0]


def first_of_both(products: Products, k: int, columns: OfColumns) -> tuple[Lists | None, Lists]:
    """The same, and what is looked for in the columns (columns, columns.k), from one pass; no lists of rows where k is
    0, or where rows are so short that they are better looked for by themselves.
    """
    k = 0 if _narrow(len(products.of_columns), k) else k
    if _narrow(len(products.of_rows), columns.k):
        every = np.arange(len(products.of_columns))
        return None, _exact(products.T, every, columns.k, columns.less)
    of_rows, of_columns = _searched(products.holding(), k, columns)
    return of_rows if k else None, of_columns


class Ends(NamedTuple):
    """The first k of every list, and the lowest score in it."""

    first: Lists
    lowest: FloatArray


def ends_of_both(products: Products, k: int, of_columns: int = 0) -> tuple[Ends, Ends | None] | None:
    """Both ends of every row (the first `k`) and, where some are asked for, of every column, from one pass; None where
    rows or columns are too short for it.

    Of vectors among themselves, a score is made once for both of its places, where the memory budget allows it.
    """
    count, width = products.shape
    if _narrow(width, k) or (of_columns and _narrow(count, of_columns)):
        return None
    among, products = products.of_rows is products.of_columns, products.holding()
    if among and _fits(count, _more(max(k, of_columns), width)):
        found = _both_ends(products, slice(0, count), *_best_among(products, max(k, of_columns)), max(k, of_columns))
        return found, found if of_columns else None
    high, columns = _more(k, width), _lists_of(products.T, slice(0, width), of_columns) if of_columns else None
    parts: list[Ends] = []
    for block in blocks(count, products.of_rows.width * 4 + high * _KEY_BYTES, share=0.25, least=_LEAST):
        best, lowest = _lists_of(products, block, k)
        for rows, part, values in _tiles(products, block, products.of_rows.read(block)):
            mine = slice(rows.start - block.start, rows.stop - block.start)
            best.add_rows(mine, values, part.start)
            lowest.add_rows(mine, values, part.start)
            for each in columns or ():
                each.add_columns(part, values, rows.start)
        parts.append(_both_ends(products, block, best, lowest, k))
    first = tuple(np.concatenate([part.first[which] for part in parts]) for which in (0, 1))
    found = Ends(first, np.concatenate([part.lowest for part in parts]))  # type: ignore[arg-type]
    if columns is None:
        return found, None
    return found, _both_ends(products.T.holding(), slice(0, width), *columns, of_columns)


def _lists_of(products: Products, rows: slice, k: int) -> tuple[Best, Lowest]:
    """What the first k and the lowest of neighbouring rows are found with."""
    count = rows.stop - rows.start
    doubt = np.broadcast_to(products.doubt(np.arange(rows.start, rows.stop))[:, 0], count).astype(np.float32)
    return Best(count, _more(k, products.shape[1])), Lowest(doubt)


def _best_among(products: Products, k: int, *, ends: bool = True) -> tuple[Best, Lowest]:
    """The first of vectors among themselves and, of both `ends`, the lowest: a tile beside the diagonal serves its
    rows, and its columns as rows.
    """
    count = len(products.of_rows)
    found = _lists_of(products, slice(0, count), k)
    for block in blocks(count, products.of_rows.width * 4, share=0.25, least=_LEAST):
        for rows, part, values in _tiles(products, block, products.of_rows.read(block), above=True):
            beside = slice(max(part.start, rows.stop), part.stop)
            for each in found if ends else found[:1]:
                each.add_rows(rows, values, part.start)
                if beside.start < beside.stop:
                    each.add_columns(beside, values[:, beside.start - part.start :], rows.start)
    return found


def _fits(lists: int, most: int) -> bool:
    """Whether the best of so many lists may be kept."""
    return lists * 2 * most * 8 <= settings.memory_budget()


def _both_ends(products: Products, rows: slice, best: Best, lowest: Lowest, k: int) -> Ends:
    """The exact ends of neighbouring rows."""
    every = np.arange(rows.start, rows.stop)
    lists, candidates = lowest.cells()
    scores = np.empty(len(every), np.float32)
    flooded = np.flatnonzero(lowest.flooded)
    scores[flooded] = -_exact(products, every[flooded], 1, sign=-1)[1][:, 0]
    if len(lists):
        exact, starts = products.pairs(every[lists], candidates), np.flatnonzero(np.diff(lists, prepend=-1))
        scores[lists[starts]] = np.minimum.reduceat(exact, starts)
    return Ends(_made_exact(products, every, best.lists(), k), scores)


def _narrow(width: int, k: int) -> bool:
    return width <= _NARROW * _more(k, width)


def _more(k: int, width: int) -> int:
    return min(k + k // 4 + _MORE, width)


def _searched(products: Products, k: int, columns: OfColumns | None, above: Above | None = None) -> tuple[Lists, Lists]:
    """First columns of rows (k of them), and first rows of columns; on the way cells above a bound."""
    count, width = products.shape
    more = _more(k, width) if k else 0
    of_columns = Best(width if columns else 0, _more(columns.k, count) if columns else 1)
    parts = [_exact(products, np.arange(0), 0)]
    # What is kept of a row while the columns are gone through: its vector and its best so far.
    for block in blocks(count, products.of_rows.width * 4 + more * _KEY_BYTES, share=0.25, least=_LEAST):
        of_rows, vectors = Best(block.stop - block.start, max(1, more)), products.of_rows.read(block)
        for rows, part, values in _tiles(products, block, vectors):
            if k:
                of_rows.add_rows(slice(rows.start - block.start, rows.stop - block.start), values, part.start)
            if above is not None:
                above.add(rows, part, values)
            if columns:
                less = None if columns.less is None else columns.less[rows].astype(np.float32)
                of_columns.add_columns(part, values, rows.start, less)
        if k:
            parts.append(_made_exact(products, np.arange(block.start, block.stop), of_rows.lists(), k, own=vectors))
    found = tuple(np.concatenate([part[which] for part in parts if part[0].shape[1] == k]) for which in (0, 1))
    if not columns:
        return found, parts[0]  # type: ignore[return-value]
    every = np.arange(width)
    return found, _made_exact(products.T.holding(), every, of_columns.lists(), columns.k, columns.less)  # type: ignore[return-value]


def _tiles(
    products: Products, block: slice, vectors: FloatArray, *, above: bool = False
) -> Iterator[tuple[slice, slice, FloatArray]]:
    """Fast scores of some rows with these `vectors`, tile by tile: the rows, the columns and their scores, which the
    next tile replaces; with `above` without the columns before the first row of a tile.
    """
    width = products.of_rows.width
    cells = settings.memory_budget() // 4 // 4
    wide = max(_WIDE, min(cells // _TALL, settings.memory_budget() // 4 // (4 * width)))
    tall = max(_LEAST, min(_TALL, cells // wide))
    room = np.empty(min(tall, len(vectors)) * min(wide, len(products.of_columns)), np.float32)
    for at in range(block.start if above else 0, len(products.of_columns), wide):
        part = slice(at, min(at + wide, len(products.of_columns)))
        columns = products.of_columns.read(part)
        squares = products.of_columns.squares(part) if products.metric == "euclidean" else None
        for start in range(block.start, min(block.stop, part.stop) if above else block.stop, tall):
            rows = slice(start, min(start + tall, block.stop))
            mine = vectors[rows.start - block.start : rows.stop - block.start]
            left = max(0, start - at) if above else 0
            own = squares if squares is None else squares[left:]
            yield rows, slice(at + left, part.stop), products.fast(mine, columns[left:], own, room)


def _made_exact(
    products: Products,
    rows: IntArray,
    found: Lists,
    k: int,
    less: AnyArray | None = None,
    own: FloatArray | None = None,
) -> Lists:
    """The exact first k of rows (rows,) whose best are known by fast scores; `less` (columns,) was taken from these.
    `own` are the rows' vectors (rows, d), where they were read.
    """
    items, scores = found
    more = items.shape[1]
    # How many of each row's items may be among the exact first k; where all may be, further ones may be, too.
    counts = (scores[:, k - 1 : k] - scores <= products.doubt(rows)).sum(axis=1)
    indices, values = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), np.float32)
    clear, rest = np.flatnonzero(counts < more), np.flatnonzero(counts == more)
    if len(rest):  # many items at about the k-th score
        indices[rest], values[rest] = _exact(products, rows[rest], k, less)
        items, counts, own = items[clear], counts[clear], own if own is None else own[clear]
    exact = products.first_of(rows[clear], items, counts, own)
    if less is not None:
        exact -= less.astype(np.float32)[items]

    def one(at: int) -> None:
        part = slice(at, at + _ORDERED)
        ordered = order(exact[part], items[part])
        indices[clear[part]], values[clear[part]] = ordered[0][:, :k], ordered[1][:, :k]

    in_threads(one, range(0, len(clear), _ORDERED))
    return indices, values


def _exact(products: Products, rows: IntArray, k: int, less: AnyArray | None = None, sign: int = 1) -> Lists:
    """The first k of rows (rows,), from all exact scores; `less` (columns,) is taken from these first, or their `sign`
    changed.
    """
    width = len(products.of_columns)
    shift = None if less is None else less.astype(np.float32)
    parts = [(np.empty((0, k), np.int64), np.empty((0, k), np.float32))]
    for block in blocks(len(rows), width * 8, least=_LEAST):
        values = products.rows(rows[block]) if sign > 0 else -products.rows(rows[block])
        parts.append(topk_dense(values if shift is None else values - shift, k))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
