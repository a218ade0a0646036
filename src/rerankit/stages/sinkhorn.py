"""sinkhorn: scores after queries and items have been given equal shares of each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import ListScores, Scores
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._cells import Cells
from rerankit.stages._passes import column_softmax_level, over_runs


class Sinkhorn(BankStage):
    """Balance exp(β s) so that every query hands out, and every item receives, the same total.

    `iterations` times the columns, then the rows of exp(β s) are divided by their sums. The score is s + g / β, where
    g is the logarithm of what the item's column was multiplied by; one iteration is inverted softmax, and more also
    know that a query which has found its item no longer speaks for others. Only the `cells_kept` best cells of each row
    and column enter, so that memory grows with items × cells_kept; None takes all, block by block. With a bank the
    balance is found between the bank's queries and the gallery. It loses where items differ widely in how many queries
    they answer, and with few queries.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "sinkhorn", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "sinkhorn"
    citation = "Cuturi, Sinkhorn distances (NeurIPS 2013)"

    def __init__(self, beta: float = 20.0, iterations: int = 10, cells_kept: int | None = 64, bank: Any = None) -> None:
        self.beta = checks.number("beta", beta, above=0)
        self.iterations = checks.integer("iterations", iterations, least=1)
        self.cells_kept = cells_kept if cells_kept is None else checks.integer("cells_kept", cells_kept, least=1)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem)
        gain = column_gains(others, self.beta, self.iterations, self.cells_kept) / self.beta
        return own_scores(problem.scores, ranking) + gain[items_of(ranking)].astype(np.float32)


def column_gains(scores: Scores, beta: float, iterations: int, cells_kept: int | None) -> AnyArray:
    """Sinkhorn's column potentials (columns,) of exp(β s)."""
    if cells_kept is None and not isinstance(scores, ListScores):
        return _streamed(scores, beta, iterations)
    cells = Cells.best(scores, cells_kept)
    gains = cells.balanced(beta * cells.scores.astype(np.float64), iterations)[1]
    named = np.bincount(cells.columns, minlength=scores.shape[1]) > 0
    return np.where(named, gains, gains[named].max() if named.any() else 0.0)


def _streamed(scores: Scores, beta: float, iterations: int) -> AnyArray:
    """The same over all cells: one pass over the matrix for each iteration, nothing kept but the potentials."""
    gains = -beta * column_softmax_level(scores, beta).astype(np.float64)
    share = scores.shape[0] / scores.shape[1]
    for _ in range(iterations - 1):
        shift = (gains / beta).astype(np.float32)

        def one(pieces: list[FloatArray], _: int, shift: FloatArray = shift) -> AnyArray:
            received = np.zeros(scores.shape[1])
            powers = np.empty(pieces[0].shape, np.float32)
            for piece in pieces:
                here = np.add(piece, shift, out=powers[: len(piece)])
                here -= here.max(axis=1, keepdims=True)
                here *= np.float32(beta)
                np.exp(here, out=here)
                here *= (1 / here.sum(axis=1))[:, None]
                received += here.sum(axis=0)
            return received

        total = np.zeros(scores.shape[1])
        for received in over_runs(scores, one, "balancing"):
            total += received
        gains += np.log(share / np.maximum(total, 1e-30))
    return gains
