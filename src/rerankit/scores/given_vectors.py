"""Vectors as they are given: numbers of moderate size, of which float32 keeps something."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, float32, frozen, is_memory_map, real_matrix
from rerankit.errors import rule, several
from rerankit.finite import MOST_SCORE, check_all_scores
from rerankit.rows import StoredRows
from rerankit.scores.blocks import blocks

SHARE = 0.25  # of the memory budget that vectors may take while they are worked on


def largest_of(unit: bool) -> float:
    """How large a component may be: lengths are measured in float64, but products of float32 must stay in float32."""
    return float(np.finfo(np.float32).max) if unit else MOST_SCORE


def vectors_of(vectors: Any, argument: str, unit: bool) -> AnyArray:
    """Embeddings (rows, d) as a read-only array of numbers of moderate size; a memory map is checked when it is read.

    >>> from rerankit.scores.vectors import GridVectors
    >>> GridVectors([[1e-50, 0.0], [0.6, 0.8]])
    Traceback (most recent call last):
    rerankit.errors.InputError: 'vectors' must not have rows of which float32 keeps nothing: multiply them (got 1 of \
2 rows, such as [0])
    """
    if isinstance(vectors, StoredRows):
        return vectors  # type: ignore[return-value]
    array = frozen(real_matrix(vectors, argument))
    if not is_memory_map(array):
        check_all_scores(array, argument, largest_of(unit))
        if array.dtype.itemsize > 4:
            _check_kept(array, argument)
    return array


def _check_kept(array: AnyArray, argument: str) -> None:
    """Refuse vectors of float64 that become zeros in float32."""
    lost: list[int] = []
    for block in blocks(len(array), array.shape[1] * 4, share=SHARE):
        empty = np.flatnonzero(~float32(array[block], argument).any(axis=1))
        lost += (empty[array[block][empty].any(axis=1)] + block.start).tolist()
    if lost:
        text = "must not have rows of which float32 keeps nothing: multiply them"
        raise rule(argument, text, several("rows", lost, len(array)))
