"""The forms of scores behind one protocol: a matrix, also one on disk, embeddings, top-k lists."""

from __future__ import annotations

from typing import Any

from rerankit.adapters import sparse
from rerankit.adapters.stored import is_stored
from rerankit.arrays import float32
from rerankit.finite import check_scores
from rerankit.rows import StoredRows
from rerankit.scores.blocks import blocks
from rerankit.scores.dense import DenseScores
from rerankit.scores.embedding import EmbeddingScores
from rerankit.scores.lengths import normalised
from rerankit.scores.lists import ListScores
from rerankit.scores.normal import NormalMap
from rerankit.scores.products import VectorMetric
from rerankit.scores.protocol import Scores
from rerankit.scores.repeats import distinct_rows, without_repeats
from rerankit.scores.searching import Searching
from rerankit.scores.stored import StoredScores, stored_scores
from rerankit.scores.taken import TakenScores
from rerankit.scores.topk import merge, order, topk_dense

__all__ = [
    "DenseScores",
    "EmbeddingScores",
    "ListScores",
    "NormalMap",
    "Scores",
    "Searching",
    "StoredScores",
    "TakenScores",
    "VectorMetric",
    "as_scores",
    "blocks",
    "distinct_rows",
    "merge",
    "normalised",
    "order",
    "topk_dense",
    "without_repeats",
]


def as_scores(value: Any, argument: str = "scores") -> Scores:
    """`value` as scores: kept when it is already, lists of what a sparse matrix holds, a matrix otherwise."""
    # Not isinstance(value, Scores): a runtime protocol check would compute the property T.
    if all(callable(getattr(value, name, None)) for name in ("rows", "pairs", "topk")) and hasattr(value, "complete"):
        return value  # type: ignore[no-any-return]
    cells = sparse.opened(value, argument)
    if cells is not None:
        values = float32(cells.values, argument)
        check_scores(values[:, None], argument, cells.rows)
        return ListScores.from_cells(cells.rows, cells.columns, values, cells.shape)
    return (
        stored_scores(value, argument)
        if is_stored(value) or isinstance(value, StoredRows)
        else DenseScores(value, argument)
    )
