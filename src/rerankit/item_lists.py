"""Lists of items as callers give them, by id or by row, with or without scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rerankit.adapters.stored import is_stored
from rerankit.arrays import AnyArray, FloatArray, IntArray, float32, is_memory_map, to_numpy
from rerankit.errors import rule, several
from rerankit.finite import MOST_SCORE, check_scores
from rerankit.ids import Ids, as_ids
from rerankit.pairs import Pairs, Shape, as_pairs, mask_of
from rerankit.scores import DenseScores, StoredScores, blocks
from rerankit.scores.filled import Filled
from rerankit.scores.stored import read_at_once


def item_rows(items: Any, ids: Ids | None, size: int, argument: str) -> IntArray:
    """Rows (queries, K) of items, −1 behind the end of a shorter list; `items` is one list, or one for each query.

    Texts are ids, and whole numbers are ids where `ids` are whole numbers; otherwise they are rows, with −1 as padding.

    >>> item_rows([["dog", "cat"], ["cat"]], Ids(["cat", "dog"]), 2, "candidates")
    array([[ 1,  0],
           [ 0, -1]])
    """
    lists = _lists(items, argument)
    if ids is None or (ids.values.dtype.kind != "i" and all(one.dtype.kind in "iu" for one in lists)):
        rows = [_checked_rows(one, size, argument) for one in lists]
    else:
        rows = [ids.rows_of(one.tolist(), argument) for one in lists]
    found: IntArray = _padded(rows, -1, np.int64)
    ascending = np.sort(found, axis=1)
    twice = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)
    if twice.any():
        query = int(np.argmax(twice.any(axis=1)))
        repeated = np.unique(ascending[query, 1:][twice[query]])
        again = [int(row) if ids is None else ids[row].item() for row in repeated]
        raise rule(argument, "must name an item once for a query", several(f"repeated in list {query}", again))
    return found


def left_out(exclude: Any, shape: Shape, ids: Ids | None) -> Pairs | None:
    """The pairs that `exclude` names, in any form of `as_pairs`; its lists go by id or by row, as `item_rows` says.

    >>> left_out([["dog"], []], (2, 2), Ids(["cat", "dog"])), left_out([[1], []], (2, 2), None)
    (Pairs(1 in 2 × 2), Pairs(1 in 2 × 2))
    """
    if exclude is None or isinstance(exclude, Pairs | tuple) or mask_of(exclude, "exclude") is not None:
        return as_pairs(exclude, shape, "exclude")
    rows = item_rows(exclude, ids, shape[1], "exclude").tolist()
    return as_pairs([[row for row in one if row >= 0] for one in rows], shape, "exclude")


def left_out_filled(scores: Any, exclude: Any, ids: Any, *, distances: bool = False) -> Any:
    """Scores whose left-out cells have a number each: where they hold NaN or a mark beyond all scores, the query's
    lowest. What is no matrix of real numbers comes back as it is; one on disk is read block by block and stays there.

    Stages that compare queries read every cell, and a query says least of an item by its lowest score (its highest
    among `distances`).

    >>> left_out_filled(np.array([[0.9, np.nan, 0.2]]), [[1]], None)
    array([[0.9, 0.2, 0.2]])
    """
    matrix = None if exclude is None else _matrix_of(scores, distances)
    if matrix is None:
        return scores
    width = matrix.shape[1]
    most = min(MOST_SCORE, float(np.finfo(matrix.dtype).max))
    pairs, found = None, []
    for block in blocks(len(matrix), width * 32):
        part = np.asarray(matrix[block])
        if max(-part.min(initial=0), part.max(initial=0)) <= most:  # which takes no memory
            continue
        if pairs is None:
            pairs = left_out(exclude, matrix.shape, as_ids(ids, width, "gallery_ids"))
            assert pairs is not None, "it was given"
        gone = slice(*pairs.indptr[[block.start, block.stop]])
        found.append(_filling(part, block.start, pairs.rows[gone], pairs.indices[gone], most, -1 if distances else 1))
    if not found:
        return scores
    rows, columns, values = (np.concatenate(each) for each in zip(*found, strict=True))
    if is_stored(matrix):
        return StoredScores(matrix, filled=Filled.of(rows, columns, values.astype(np.float32), width))
    if is_memory_map(matrix):
        filled = Filled.of(rows, columns, values.astype(np.float32), width)
        return DenseScores(matrix, "distances" if distances else "scores", negate=distances, filled=filled)
    copied = matrix.copy()
    copied[rows, columns] = values
    return copied


def _filling(
    part: AnyArray, first: int, rows: IntArray, columns: IntArray, most: float, sign: int
) -> tuple[IntArray, IntArray, AnyArray]:
    """Rows, columns and numbers of left-out cells that have none, of a part of a matrix from its row `first` on."""
    known = np.abs(part) <= most
    lowest = sign * np.where(known, sign * part, np.inf).min(axis=1, initial=np.inf)
    lowest[~known.any(axis=1)] = 0
    absent = ~known[rows - first, columns]
    rows, columns = rows[absent], columns[absent]
    return rows, columns, lowest[rows - first]


def _matrix_of(scores: Any, distances: bool) -> Any:
    """A matrix of real numbers, in memory or on disk; None of anything else."""
    if isinstance(scores, list | tuple):
        try:
            scores = np.asarray(scores)
        except ValueError:  # of uneven rows
            return None
    elif is_stored(scores):
        scores = np.asarray(scores[:]) if distances else read_at_once(scores, "scores")
    elif hasattr(scores, "__dlpack__") and not str(getattr(scores, "layout", "")).startswith("torch.sparse"):
        scores = scores if is_memory_map(scores) else to_numpy(scores, "scores")
    plain = isinstance(scores, np.ndarray) or is_stored(scores)
    return scores if plain and len(scores.shape) == 2 and scores.dtype.kind == "f" else None


def list_scores(scores: Any, rows: IntArray) -> FloatArray:
    """Scores (queries, K) of lists of items, as given for them; without any, minus the places in the lists.

    >>> list_scores(None, np.array([[4, 2], [1, -1]]))
    array([[ -1.,  -2.],
           [ -1., -inf]], dtype=float32)
    """
    there = rows >= 0
    if scores is None:
        places = np.broadcast_to(-1 - np.arange(rows.shape[1], dtype=np.float32), rows.shape)
        return np.where(there, places, np.float32(-np.inf))
    given = _lists(scores, "scores")
    counts = [len(one) for one in given]
    wanted = there.sum(axis=1).tolist()
    if counts != wanted and [int((one > -np.inf).sum()) for one in given] != wanted:
        raise rule("scores", "must have one number for each candidate", f"{counts[:3]} for {wanted[:3]}")
    values = _padded([float32(one[:count], "scores") for one, count in zip(given, wanted, strict=True)], -np.inf)
    if there.all():
        check_scores(values, "scores")
        return values
    check_scores(np.where(there[:, : values.shape[1]], values, 0), "scores")
    return np.where(there, values, np.float32(-np.inf))


def one_or_more(values: Any, argument: str) -> Any:
    """A matrix: numbers of one query (n,) become (1, n)."""
    if hasattr(values, "rows") and hasattr(values, "pairs"):
        return values
    array = to_numpy(values, argument)
    return array[None] if array.ndim == 1 else array


def _lists(items: Any, argument: str) -> list[AnyArray]:
    """One list for each query, as arrays."""
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise rule(argument, "must be a list, or one list for each query", items)
    if not isinstance(items, np.ndarray):
        items = [list(one) if isinstance(one, set | frozenset) else one for one in items]
    if not len(items) or isinstance(items[0], str | bytes) or np.ndim(items[0]) == 0:
        items = [items]  # a list without items is what a search finds when nothing fits
    arrays = [one if one.size or one.ndim != 1 else np.empty(0, np.int64) for one in map(np.asarray, items)]
    if any(one.ndim != 1 for one in arrays):
        raise rule(argument, "must be a list, or one list for each query", f"{len(arrays)} lists")
    return arrays


def _checked_rows(rows: AnyArray, size: int, argument: str) -> IntArray:
    if not len(rows):
        return np.empty(0, np.int64)
    if rows.dtype.kind not in "iu":
        raise rule(argument, "must be row numbers, since the gallery has no such ids", f"{rows[:3].tolist()}")
    lowest, highest = int(rows.min()), int(rows.max())
    if lowest >= 0 and highest < size:
        return rows.astype(np.int64)
    real: IntArray = rows[rows != -1].astype(np.int64)
    if len(real) and (int(real.min()) < 0 or int(real.max()) >= size):
        raise rule(argument, f"must lie in 0…{size - 1}", f"{real.min()}…{real.max()}")
    return real


def _padded(rows: list[AnyArray], fill: float, dtype: Any = np.float32) -> AnyArray:
    width = max(1, *(len(one) for one in rows)) if len(rows) > 1 else max(1, len(rows[0]))
    found = np.full((len(rows), width), fill, dtype)
    for row, one in enumerate(rows):
        found[row, : len(one)] = one
    return found
