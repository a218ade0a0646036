"""Rows that repeat others: the same query asked again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.scores.blocks import blocks
from rerankit.scores.digests import digest_of, firsts
from rerankit.scores.embedding import EmbeddingScores
from rerankit.scores.lists import ListScores
from rerankit.scores.protocol import Scores

_LOOKED_AT = 64  # columns of a matrix: rows that differ there are not read in whole


def without_repeats(scores: Scores) -> Scores:
    """Every row once: those that equal no row before them, the scores themselves where no row repeats another.

    Rows of embeddings are equal where their vectors are, those of lists where they list the same.

    >>> from rerankit import DenseScores
    >>> without_repeats(DenseScores([[1, 2], [3, 4], [1, 2]])).rows().tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    rows = distinct_rows(scores)
    return scores if len(rows) == scores.shape[0] else scores.take(rows)


def distinct_rows(scores: Scores) -> IntArray:
    """The numbers of the rows that equal no row before them, ascending."""
    if isinstance(scores, EmbeddingScores):
        return scores.distinct_rows()
    if isinstance(scores, ListScores):
        return firsts(_lists_of(scores), np.arange(scores.shape[0]))
    some = np.unique(np.linspace(0, scores.shape[1] - 1, _LOOKED_AT).astype(np.int64)) if scores.shape[1] else None
    alike = _alike(scores.take(None, some))
    if not len(alike):
        return np.arange(scores.shape[0])
    others = np.setdiff1d(np.arange(scores.shape[0]), alike)
    return np.sort(np.concatenate([others, firsts(_matrix_rows(scores.take(alike)), alike)]))


def _alike(scores: Scores) -> IntArray:
    """Rows of which there are two or more."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    for number, row in enumerate(_matrix_rows(scores)):
        rows[digest_of(row)].append(number)
    return np.array(sorted(number for alike in rows.values() if len(alike) > 1 for number in alike), np.int64)


def _lists_of(lists: ListScores) -> Iterator[AnyArray]:
    for start, stop in zip(lists.starts[:-1].tolist(), lists.starts[1:].tolist(), strict=True):
        yield np.concatenate([lists.columns[start:stop].astype(np.float64), lists.values[start:stop]])


def _matrix_rows(scores: Scores) -> Iterator[AnyArray]:
    for block in blocks(scores.shape[0], scores.shape[1] * 4):
        yield from scores.rows(block)
