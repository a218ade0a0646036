"""The three forms of scores behind one protocol: a matrix, embeddings, top-k lists."""

from __future__ import annotations

from typing import Any

from rerankit.scores.blocks import blocks
from rerankit.scores.dense import DenseScores
from rerankit.scores.embedding import EmbeddingScores, Metric
from rerankit.scores.lists import ListScores
from rerankit.scores.protocol import Scores
from rerankit.scores.taken import TakenScores
from rerankit.scores.topk import merge, order, topk_dense
from rerankit.scores.vectors import normalised

__all__ = [
    "DenseScores",
    "EmbeddingScores",
    "ListScores",
    "Metric",
    "Scores",
    "TakenScores",
    "as_scores",
    "blocks",
    "merge",
    "normalised",
    "order",
    "topk_dense",
]


def as_scores(value: Any, argument: str = "scores") -> Scores:
    """`value` as scores: kept when it is already, taken as a matrix otherwise."""
    # Not isinstance(value, Scores): a runtime protocol check would compute the property T.
    is_scores = all(callable(getattr(value, name, None)) for name in ("rows", "pairs", "topk"))
    return value if is_scores and hasattr(value, "complete") else DenseScores(value, argument)
