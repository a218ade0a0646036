"""From scores of cells to scores of a ranking's candidates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray, IntArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores, blocks
from rerankit.stages.hubness.sinkhorn import Sinkhorn
from rerankit.stages.pillar.plus.cells import CellGraph
from rerankit.stages.pillar.plus.scale import Scale

_FIRST = 30  # places among which likeness counts
_REACH = 2.0  # likeness begins to count at this many gaps below what the nearest item is like


def answers(
    cells: CellGraph,
    scores: tuple[Tensor, Tensor],
    ranking: Ranking,
    problem: Problem,
    *,
    backwards: bool,
    diversity: tuple[float, float],
) -> FloatArray:
    """Scores (queries, K) of a ranking's items from both directions' cell scores.

    `problem` is in the i2t orientation, and `backwards` says that the ranking is of the other one.
    """
    found = placed(cells, scores[backwards], ranking, backwards=backwards)
    side = problem.query_scores if backwards else problem.gallery_scores
    if not diversity[backwards] or side is None:
        return found
    return diversified(found, ranking, side, cells.scales[0 if backwards else 1], diversity[backwards])


def balanced(learned: FloatArray, like: float, ranking: Ranking, problem: Problem, *, backwards: bool) -> FloatArray:
    """A ranking's scores (queries, K), as far as they count (`like`), with β times those of `sinkhorn`.

    The problem is in the i2t orientation.
    """
    asked = problem.reversed() if backwards else problem
    stage = Sinkhorn()
    found = stage.correction(asked.gallery, asked.scores, same=True)
    scores = found.notes["beta"] * stage.corrected(found, asked, ranking)
    mixed: FloatArray = np.where(ranking.mask, like * learned + (1 - like) * scores, learned).astype(np.float32)
    return mixed


def placed(cells: CellGraph, scores: Tensor, ranking: Ranking, *, backwards: bool) -> FloatArray:
    """Scores (queries, K) of a ranking's items; those without a cell come behind, in their order."""
    queries = torch.arange(len(ranking))[:, None].expand(ranking.shape)
    items = torch.from_numpy(np.maximum(ranking.indices, 0))
    rows, columns = (items, queries) if backwards else (queries, items)
    at = cells.find(rows.to(scores.device), columns.to(scores.device)).cpu()
    listed = torch.cat([scores.cpu(), torch.full((1,), torch.inf)])[at].numpy()
    present = np.isfinite(listed) & ranking.mask
    lowest = np.where(present, listed, np.inf).min(axis=1, keepdims=True)
    behind = np.where(np.isfinite(lowest), lowest, 0) - 1 - np.arange(ranking.shape[1])
    result: FloatArray = np.where(present, listed, behind).astype(np.float32)
    return result


def diversified(scores: FloatArray, ranking: Ranking, side: Scores, scale: Scale, weight: float) -> FloatArray:
    """Scores (queries, K) after which the first items are unlike each other: the best, then always the item whose
    score less `weight` times its likeness to the most similar one before it is highest.

    Several captions of one wrong picture then do not fill the first places, and the first place never changes.
    """
    result = np.where(ranking.mask, scores, -np.inf).astype(np.float32)
    count = min(_FIRST, ranking.shape[1])
    if count < 2:
        return result
    places = np.argsort(-result, axis=1, kind="stable")
    head, rest = places[:, :count], places[:, count:]
    changed = np.empty(head.shape, np.float32)
    for block in blocks(len(head), count * count * 16, share=0.5):
        rows = np.arange(len(head))[block, None]
        changed[block] = _one_after_another(
            result[rows, head[block]], np.maximum(ranking.indices[rows, head[block]], 0), side, scale, weight
        )
    _lower(result, head, rest, changed)
    return result


def _one_after_another(scores: FloatArray, items: IntArray, side: Scores, scale: Scale, weight: float) -> FloatArray:
    """New scores (queries, n) of items in falling order of score."""
    near = scale.apply(side.pairs(items[:, :, None], items[:, None, :]))
    likeness = weight * np.maximum(near + _REACH, 0)  # −∞, an absent pair, is not alike
    rows = np.arange(len(scores))
    left, penalty, result = scores.copy(), np.zeros_like(scores), np.full_like(scores, -np.inf)
    for _ in range(scores.shape[1]):
        worth = left - penalty
        best = worth.argmax(axis=1)
        result[rows, best] = np.maximum(result[rows, best], worth[rows, best])  # nothing left: −∞ changes nothing
        left[rows, best] = -np.inf
        penalty = np.maximum(penalty, likeness[rows, best])
    return result


def _lower(result: FloatArray, head: IntArray, rest: IntArray, changed: FloatArray) -> None:
    """Write the head's new scores, and move the rest below them by as much as the head's last has lost."""
    rows = np.arange(len(head))[:, None]
    finite = np.isfinite(changed)
    with np.errstate(invalid="ignore"):
        lost = np.where(finite, result[rows, head] - changed, 0).max(axis=1, keepdims=True)
    result[rows, head] = changed
    result[rows, rest] -= lost
