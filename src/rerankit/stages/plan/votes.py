"""What a query's nearest other queries say of the items."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from rerankit.arrays import AnyArray, IntArray
from rerankit.scores import Scores, blocks
from rerankit.stages.cells import Cells
from rerankit.stages.neighbours.others import others_nearest, weights_of_nearest


def shares_of(cells: Cells, beta: float, shift: AnyArray) -> Any:
    """What each row gives to its best items (rows, items), sparse: a softmax of `beta` · score + the items' `shift`."""
    given = cells.row_shares(beta * cells.scores.astype(np.float64) + shift[cells.columns])
    return sparse.csr_matrix((given, cells.columns, cells.starts), shape=cells.shape)


def votes_for(weights: Any, shares: Any, items: IntArray) -> AnyArray:
    """Σ weight · share at items (rows, k): what the others say of each."""
    found = np.empty(items.shape)
    for block in blocks(len(items), shares.shape[1] * 8, share=0.5):
        votes = (weights[block] @ shares).toarray()
        found[block] = np.take_along_axis(votes, items[block], axis=1)
    return found


def agreement_of(among: Scores, shares: Any, neighbours: int, sharpness: float) -> float:
    """What queries say on average of the item that one like them likes best, itself left out; 0 to 1."""
    rows = np.flatnonzero(np.diff(shares.indptr))
    if not len(rows):
        return 0.0
    near, scores = others_nearest(among, rows, neighbours)
    first = np.asarray(shares[rows].argmax(axis=1)).reshape(-1, 1)
    return float(votes_for(weights_of_nearest(near, scores, sharpness, shares.shape[0]), shares, first).mean())
