"""Re-ordered candidates in front of the rest of a ranking: the seam between new scores and old ones."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.errors import rule
from rerankit.padded import moved_first, same_items
from rerankit.ranking import Ranking
from rerankit.ties import below


def splice(head: Ranking, tail: Ranking) -> Ranking:
    """`head` (the first places, re-ordered) in front of the rest of `tail`, which keeps its order.

    The seam rule: the head keeps its scores; when a tail score is not below the head's last, the whole row of
    the tail is shifted down to lie just below it, so that scores never increase and gaps inside the tail stay.

    >>> head = Ranking([[1, 0]], [[5.0, 4.0]], gallery_size=3)
    >>> splice(head, Ranking([[0, 1, 2]], [[9.0, 8.0, 7.0]], gallery_size=3)).indices
    array([[1, 0, 2]])
    """
    depth = head.shape[1]
    if not same_items(head.indices, tail.indices[:, :depth]):
        raise rule("head", "must hold the candidates of the first places of 'tail', each once", "others")
    rest, scores = tail.indices[:, depth:], tail.scores[:, depth:]
    if rest.shape[1] == 0:
        return head
    return tail.like(
        np.concatenate([head.indices, rest], axis=1),
        np.concatenate([head.scores, below(scores, rest >= 0, head.scores[:, -1:])], axis=1),
        notes=tail.notes | head.notes,
    )


def promote(ranking: Ranking, scores: FloatArray) -> Ranking:
    """Scored candidates first, by the tie rule; the others (NaN in `scores`) behind, by the seam rule of `splice`.

    >>> ranking = Ranking([[3, 1, 2]], [[0.9, 0.5, 0.4]], gallery_size=4)
    >>> promote(ranking, np.array([[0.1, 0.7, np.nan]], np.float32))
    Ranking(1 queries × 3 of 4 items)
      0: 1 (0.7), 3 (0.1), 2 (0.1)
    """
    values = np.asarray(scores, np.float32)
    scored = np.isfinite(values) & ranking.mask
    head = ranking.keep(scored).with_scores(moved_first(values, scored))
    rest = ranking.keep(~scored)
    tail = below(rest.scores, rest.mask, np.where(head.mask, head.scores, np.inf).min(axis=1, keepdims=True))
    both = np.concatenate([head.indices, rest.indices], axis=1), np.concatenate([head.scores, tail], axis=1)
    indices, kept = (moved_first(array, both[0] >= 0, ranking.shape[1]) for array in both)
    return ranking.like(indices, kept)
