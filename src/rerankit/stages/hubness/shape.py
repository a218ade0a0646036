"""The shape of scores: whether steps mean the same high up in a row and far down, and what to do where they do not."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.problem import Problem
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, NormalMap, Scores
from rerankit.stages.hubness.spread import normal_quantiles, places_looked_at, sampled_rows

_ROWS = 64  # that are looked at
_CELLS = 4_000_000  # of them, at most
_LEAST_ROWS = 8
_LEAST_PLACES = 8  # of a row: fewer say nothing of a shape
_PLACES_OF_A_TOP = 20  # that are looked at: of fewer the first ones are too few to tell a top from its neighbours
_FLAT = 0.4  # times as steep as in between: less is bent; many right items at the top come near to it
_UNLIKE = 4.0  # times as steep as other rows
_ALIKE = 3.0  # values in all rows, for each value of one row: more are no ranks
_DISTINCT = 0.9  # of the first places of all rows


def normal_map(scores: Scores) -> NormalMap | None:
    """The map that makes scores normal, where they are far from it; None where they are not.

    What is taken from an item's scores is the same for all queries, which is right only where a step means the same
    wherever it is made: so it is with cosines, products, distances and logits, and so with all scores that are made of
    vectors, which are never bent, however their vectors crowd. Probabilities crowd at 0 and at 1, reciprocal ranks at
    the top of every row. It shows in how steeply rows fall, in multiples of the fall of normal scores. Others are bent
    where rows fall less than two fifths as steeply from their first place, or down to their middle, as in between (see
    `spread`), where a quarter of the rows falls four times as steeply as another quarter, and where all rows hold the
    same values.

    >>> from rerankit import DenseScores
    >>> logits = 3 * np.random.default_rng(0).normal(size=(50, 100)) - 6
    >>> normal_map(DenseScores(logits)) is None, normal_map(DenseScores(1 / (1 + np.exp(-logits)))) is None
    (True, False)
    """
    if isinstance(scores, EmbeddingScores):
        return None
    rows = max(_LEAST_ROWS, min(_ROWS, _CELLS // scores.shape[1]))
    some = scores if scores.shape[0] <= rows else scores.take(sampled_rows(scores, rows))
    if scores.complete:  # they are read several times
        some = DenseScores(some.rows())
    known = _known(some)
    if not known.size or known.min() == known.max() or not (_bent(known, some) or _ranks(known, some)):
        return None
    return NormalMap.of(known, some.shape[0] * some.shape[1])


def read_scores(scores: Scores, through: NormalMap | None) -> Scores:
    """Scores read through a map, or as they are."""
    return scores if through is None else through.over(scores)


def read_problem(problem: Problem, through: NormalMap | None) -> Problem:
    """The problem with its scores read through a map; relations within the sides stay."""
    if through is None:
        return problem
    within = {"query_scores": problem.query_scores, "gallery_scores": problem.gallery_scores}
    return problem.with_similarities(through.over(problem.scores), **within)


def _known(scores: Scores) -> AnyArray:
    """All values that are present (n,)."""
    if isinstance(scores, ListScores):
        return scores.values
    values = scores.rows()
    return values[np.isfinite(values)]


def _bent(known: AnyArray, scores: Scores) -> bool:
    """Whether rows fall unlike normal ones, or unlike each other; `known` are all their values."""
    falls = _falls(scores)
    if not len(falls):
        return False
    steep = np.median(falls, axis=0)
    flat, sharp = np.quantile(falls[:, 1], [0.25, 0.75])
    few = min(places_looked_at(scores.shape[1]), round(len(known) / scores.shape[0])) < _PLACES_OF_A_TOP
    return bool(min(steep[1 if few else 0], steep[-1]) < _FLAT * steep[1] or sharp > _UNLIKE * flat)


def _ranks(known: AnyArray, scores: Scores) -> bool:
    """Whether rows hold the same values (`known`: all of them), each once."""
    rows, each = scores.shape[0], len(known) / scores.shape[0]
    if rows < _LEAST_ROWS or each < _LEAST_PLACES or len(np.unique(known)) > _ALIKE * each:
        return False
    first = scores.topk(_LEAST_PLACES)[1]
    return bool((np.diff(first, axis=1) < 0).mean() > _DISTINCT)


def _falls(scores: Scores) -> AnyArray:
    """How steeply rows fall (rows, 2 or 3) from the first place, from a quarter of the places looked at, and, where all
    scores are there, from the last of these to the row's middle, over the falls of normal scores.
    """
    columns = scores.shape[1]
    best = scores.topk(places_looked_at(columns))[1].astype(np.float64)
    known = np.isfinite(best).sum(axis=1)
    enough = known >= _LEAST_PLACES
    places = np.stack([np.zeros_like(known), known // 4, known - 1], axis=1)[enough]
    at, normal = np.take_along_axis(best[enough], places, axis=1), normal_quantiles(places, columns)
    if scores.complete and len(at):
        at = np.concatenate([at, np.median(scores.rows(), axis=1)[enough, None]], axis=1)
        normal = np.concatenate([normal, np.zeros((len(at), 1))], axis=1)
    found: AnyArray = (at[:, :-1] - at[:, 1:]) / (normal[:, :-1] - normal[:, 1:])
    return found
