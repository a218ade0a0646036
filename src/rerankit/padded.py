"""Padded lists of items: `indices` (queries, K) with −1, and scores with −inf, at the end of a row that has fewer."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.errors import InputError, NotFiniteError, rule, several
from rerankit.finite import check_finite
from rerankit.pairs import Pairs


def same_items(one: IntArray, other: IntArray) -> bool:
    """Whether two lists of items (queries, K) name the same ones for every query, in any order."""
    return one.shape == other.shape and (
        np.array_equal(one, other) or np.array_equal(np.sort(one, axis=1), np.sort(other, axis=1))
    )


def items_at(indices: IntArray, places: IntArray) -> IntArray:
    """Items at places (queries, K), −1 where there is no place."""
    return np.where(places >= 0, indices[np.arange(len(indices))[:, None], places], np.int64(-1))


def moved_first(values: AnyArray, chosen: BoolArray, width: int | None = None) -> AnyArray:
    """The chosen cells of every row moved to its beginning, (queries, most of them), padded with −1 or −inf."""
    counts = chosen.sum(axis=1)
    rows, columns = np.nonzero(chosen)
    size = max(1, int(counts.max())) if width is None else width
    moved = np.full((len(chosen), size), -1 if values.dtype.kind == "i" else -np.inf, values.dtype)
    moved[rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)] = values[rows, columns]
    return moved


def check_items(items: IntArray, size: int) -> None:
    if int(items.max()) >= size or int(items.min()) < -1:
        raise rule("indices", f"must lie in 0…{size - 1}, or be −1 for padding", f"{items.min()}…{items.max()}")
    if np.any((items[:, :-1] < 0) & (items[:, 1:] >= 0)):
        raise InputError("'indices' must have their padding (−1) at the end of a row")
    check_once(items)


def check_once(items: IntArray) -> None:
    ascending = np.sort(items, axis=1)
    twice = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)
    if twice.any():
        places = [(row, int(ascending[row, place])) for row, place in np.argwhere(twice).tolist()]
        raise rule("indices", "must not list an item twice in a row", several("repeated (row, item)", places))


def check_left_out(items: IntArray, excluded: Pairs | None) -> None:
    """Refuse a list with items that are left out of their query's gallery."""
    if excluded is None:
        return
    gone = np.argwhere(excluded.holds(items))
    if len(gone):
        listed = [(row, int(items[row, place])) for row, place in gone.tolist()]
        raise rule("indices", "must not list items that are left out", several("excluded (row, item)", listed))


def check_values(items: IntArray, values: FloatArray) -> None:
    real = items >= 0
    check_finite(np.where(real, values, 0), "scores", error=NotFiniteError)
    if not np.isneginf(values[~real]).all():
        raise InputError("'scores' must be −inf where 'indices' are −1")
    rising = values[:, 1:] > values[:, :-1]
    if rising.any():
        row, place = (int(x) for x in np.argwhere(rising)[0])
        raise InputError(
            f"'scores' must not increase along a row (got {values[row, place]} before {values[row, place + 1]} "
            f"in row {row}); Ranking.ordered puts them in order, and distances are negated first"
        )
