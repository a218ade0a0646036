"""A stage that lets a gallery item share the scores of the items that resemble it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rerankit import Problem, Ranking, Stage, checks
from rerankit.scores import blocks


class NeighbourAverage(Stage):
    """Mix a candidate's score with the mean score of its nearest gallery items.

    `weight` 0 keeps the scores, 1 takes the mean alone; `neighbours` counts the item itself.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem([[0.9, 0.1, 0.8]], gallery_scores=[[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    >>> rerank(problem, NeighbourAverage(neighbours=2, weight=1.0)).indices
    array([[0, 1, 2]])
    """

    name = "neighbour-average"
    citation = ""  # where the method was published; `rerankit stages neighbour-average` shows it

    # What a problem must have. rerankit checks it before anything runs and tells the user how to provide it.
    needs = ("gallery_scores", "complete_scores")

    def __init__(self, neighbours: int = 5, weight: float = 0.5) -> None:
        # Parameters are stored under their own names: that is what makes clone, save and repr work.
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.weight = checks.number("weight", weight, least=0, most=1)

    def rescore(self, problem: Problem, ranking: Ranking) -> NDArray[np.float32]:
        """New scores (queries, K) for the candidates; what stands at padding is ignored."""
        assert problem.gallery_scores is not None  # `needs` has seen to it
        nearest, _ = problem.gallery_scores.topk(self.neighbours)  # (gallery, neighbours)
        mean = np.empty(ranking.shape, np.float32)
        # Work in blocks of queries that fit the memory budget; a block's size must never change an answer.
        for rows in blocks(len(ranking), row_bytes=16 * ranking.shape[1] * nearest.shape[1]):
            queries = np.arange(rows.start, rows.stop)[:, None, None]
            items = ranking.indices[rows]
            around = nearest[items]  # (queries, K, neighbours); padding reads some row, ignored
            # Lists of the gallery end in −1 where an item has fewer neighbours: it stands in for them itself.
            around = np.where(around >= 0, around, items[:, :, None])
            mean[rows] = problem.scores.pairs(queries, around).mean(axis=2)
        own = np.where(ranking.mask, ranking.scores, 0)
        return (1 - self.weight) * own + self.weight * mean
