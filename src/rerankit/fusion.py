"""Fusing several opinions on the same items: normalisations and rules, as pure functions.

Values are (sources, queries, K); NaN stands where a source has no opinion on an item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray, unmasked
from rerankit.errors import InputError, rule
from rerankit.ids import same_ids
from rerankit.lines import lines_of
from rerankit.plugins import manager
from rerankit.plugins.faults import FaultError
from rerankit.problem import Problem, as_problem
from rerankit.ranking import Ranking
from rerankit.ranks import shared_ranks


def min_max(values: FloatArray) -> FloatArray:
    """Scores from 0 to 1 within each query; a constant row becomes 1."""
    low = np.fmin.reduce(values, axis=-1, keepdims=True)
    span = np.fmax.reduce(values, axis=-1, keepdims=True) - low
    result: FloatArray = np.where(span > 0, (values - low) / np.where(span > 0, span, 1), values * 0 + 1)
    return result


def z_score(values: FloatArray) -> FloatArray:
    """Scores at mean 0 and deviation 1 within each query; a constant row becomes 0."""
    some = _some(values)
    centred = values - np.nanmean(some, axis=-1, keepdims=True)
    deviation = np.nanstd(some, axis=-1, keepdims=True)
    result: FloatArray = np.where(deviation > 0, centred / np.where(deviation > 0, deviation, 1), values * 0)
    return result


def softmax(values: FloatArray) -> FloatArray:
    """Shares of the softmax within each query."""
    powers = np.exp(values - np.nanmax(_some(values), axis=-1, keepdims=True))
    result: FloatArray = powers / np.nansum(powers, axis=-1, keepdims=True)
    return result


def _some(values: FloatArray) -> FloatArray:
    """The values with zeros for a query of which a source knows nothing: numpy warns of statistics of no numbers."""
    nothing = np.isnan(values).all(axis=-1, keepdims=True)
    return np.where(nothing, np.float32(0), values) if nothing.any() else values


def rank_score(values: FloatArray) -> FloatArray:
    """1 for the best of n items, down to 1/n for the worst."""
    count = np.sum(~np.isnan(values), axis=-1, keepdims=True)
    result: FloatArray = ((count - shared_ranks(values) + 1) / count).astype(np.float32)
    return result


NORMALISATIONS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "none": lambda values: values,
    "min-max": min_max,
    "z-score": z_score,
    "rank": rank_score,
    "softmax": softmax,
}


def combine(
    values: FloatArray, method: str = "sum", normalise: str = "min-max", weights: Any = None, rrf_constant: float = 60
) -> FloatArray:
    """One score per item (queries, K) from several sources' values (sources, queries, K).

    ``sum`` adds weighted normalised scores, ``combmnz`` multiplies that sum by how many sources know the item,
    ``rrf`` adds weight / (rrf_constant + place), ``borda`` adds weighted points (of the items that any source has,
    those ranked behind; absent ones share what is left), ``isr`` adds weight / place² and multiplies as combmnz does,
    ``copeland`` counts the items that a weighted majority of the sources places behind it. Absent (NaN) values add
    nothing otherwise, or the source's lowest points where those are negative. Weights are 1 unless given. Plugins have
    more methods (`rerankit_register_fusion_rules`).

    >>> combine(np.float32([[[3, 1]], [[2, 4]]]), method="rrf", weights=[1, 2]).argmax().item()
    1
    """
    share = np.asarray(check_weights(weights, len(values)), np.float32)
    entry = manager().fusion_rules.entry(method)
    function, known = entry.load(), {"normalise": normalise, "rrf_constant": rrf_constant}
    options = {name: known[name] for name in entry.parameters if name in known}
    with entry.blamed("failed"):
        total: FloatArray = unmasked(function(values, share, **options))
    if total.shape != values.shape[1:] or total.dtype.kind not in "fiu":
        text = f"must give numbers of shape {values.shape[1:]} (got {total.dtype} of shape {total.shape})"
        raise FaultError(entry.fault(text))
    bad = ~np.isfinite(total) & ~np.isnan(values).all(axis=0)
    if bad.any():
        raise FaultError(entry.fault(f"must give finite numbers where a source has an opinion (got {total[bad][0]})"))
    return total


def weighted_sum(values: FloatArray, weights: FloatArray, normalise: str) -> FloatArray:
    """The weighted sum of normalised scores."""
    points = _with_absent(NORMALISATIONS[normalise](values))
    return _sum(points * weights[:, None, None])


def combmnz(values: FloatArray, weights: FloatArray, normalise: str) -> FloatArray:
    """The weighted sum times how many sources know the item."""
    total: FloatArray = weighted_sum(values, weights, normalise) * np.sum(~np.isnan(values), axis=0)
    return total


def reciprocal_ranks(values: FloatArray, weights: FloatArray, rrf_constant: float) -> FloatArray:
    """Σ weight / (rrf_constant + place)."""
    return _sum(weights[:, None, None] / (np.float32(rrf_constant) + shared_ranks(values)))


def borda(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted points: of the items that any source has, those ranked behind."""
    there = ~np.isnan(values)
    # Not the width, in which other queries may have more items.
    size = there.any(axis=0).sum(axis=-1, keepdims=True)
    known = there.sum(axis=-1, keepdims=True)
    left_over = (size - known - 1) / 2  # absent items share the places behind the known ones
    points = np.where(there, size - shared_ranks(values), left_over).astype(np.float32)
    return _sum(points * weights[:, None, None])


def _sum(values: FloatArray) -> FloatArray:
    """The sum over the sources of what they have an opinion on; 0 where none has."""
    total: FloatArray = np.where(np.isnan(values), np.float32(0), values).sum(axis=0)
    return total


def _with_absent(points: FloatArray) -> FloatArray:
    """Items a source does not have get nothing, or its lowest points where those are below nothing."""
    absent = np.isnan(points)
    if not absent.any():
        return points
    lowest = np.min(points, axis=-1, keepdims=True, initial=0, where=~absent)
    filled: FloatArray = np.where(absent, lowest, points)
    return filled


def check_weights(weights: Any, sources: int) -> list[float]:
    """One finite weight per source, all 1 by default."""
    if weights is None:
        return [1.0] * sources
    given = list(weights)
    if len(given) != sources:
        raise rule("weights", f"must be one for each of the {sources} sources", f"{len(given)} weights")
    return [checks.number("weights", weight) for weight in given]


def check_rules(method: str, normalise: str, rrf_constant: float) -> None:
    """Refuse an unknown method or normalisation, or an RRF constant below zero."""
    checks.choice("method", method, manager().fusion_rules)
    checks.choice("normalise", normalise, NORMALISATIONS)
    checks.number("rrf_constant", rrf_constant, least=0)


def fuse(
    sources: Sequence[Any],
    *,
    method: str = "sum",
    normalise: str = "min-max",
    weights: Sequence[float] | None = None,
    rrf_constant: float = 60,
    k: int | None = 100,
) -> Ranking:
    """Fuse rankings, problems or matrices over the same queries and gallery into one ranking, or runs by their names.

    Of a matrix, problem or run the first k items count; an item is a candidate when any source has it.

    >>> fuse([[[0.9, 0.1, 0.5]], [[0.2, 0.1, 0.8]]], weights=[1, 2], k=2).indices
    array([[2, 0]])
    """
    check_rules(method, normalise, rrf_constant)
    rankings = [given if isinstance(given, Ranking) else as_problem(given).ranking(k) for given in _joined(sources)]
    _check_alike(rankings)
    shares = check_weights(weights, len(rankings))
    pool = _pool(rankings)
    values = np.stack([_opinion(ranking, pool) for ranking in rankings])
    with np.errstate(invalid="ignore"):
        scores = combine(values, method, normalise, shares, rrf_constant)
    first = rankings[0]
    fused = Ranking.ordered(
        pool,
        np.where(pool >= 0, scores, -np.inf),
        gallery_size=first.gallery_size,
        query_ids=first.query_ids,
        gallery_ids=first.gallery_ids,
    )
    for ranking in rankings:
        fused = fused.excluding(ranking.excluded)
    return fused if k is None else fused.top(k)


def _joined(sources: Sequence[Any]) -> Sequence[Any]:
    """Sources over one gallery: runs, each of which lists what it found, get the queries and items of all."""
    if not isinstance(sources, list | tuple):
        raise rule("sources", "must be a list of rankings, problems, matrices or runs", type(sources).__name__)
    runs = {f"sources[{place}]": given for place, given in enumerate(sources)}
    if not runs or any(_is_ours(given) or lines_of(given, "scores", name) is None for name, given in runs.items()):
        return sources
    joined = Problem.from_runs(runs)
    return [joined, *joined.extra_scores.values()]


def _is_ours(given: Any) -> bool:
    return isinstance(given, Ranking | Problem | np.ndarray)


def _check_alike(rankings: Sequence[Ranking]) -> None:
    if not rankings:
        raise InputError("'sources' must hold at least one ranking (got none)")
    shapes = [(len(ranking), ranking.gallery_size) for ranking in rankings]
    if len(set(shapes)) > 1:
        raise rule("sources", "must have the same queries and gallery", f"{shapes} queries and items")
    for name in ("query_ids", "gallery_ids"):
        given = [ids for ids in (getattr(ranking, name) for ranking in rankings) if ids is not None]
        if not all(same_ids(given[0], ids) for ids in given[1:]):
            raise rule("sources", f"must have the same {name}", "different ones")


def _pool(rankings: Sequence[Ranking]) -> IntArray:
    """All items any ranking names, per query (queries, union), ascending, padded with −1 at the end."""
    named = np.sort(np.concatenate([ranking.indices for ranking in rankings], axis=1), axis=1)
    repeated = np.zeros(named.shape, bool)
    repeated[:, 1:] = named[:, 1:] == named[:, :-1]
    last = np.iinfo(np.int64).max
    unique = np.sort(np.where(repeated | (named < 0), last, named), axis=1)
    width = max(1, int((unique != last).sum(axis=1).max()))
    return np.where(unique == last, -1, unique)[:, :width]


def _opinion(ranking: Ranking, pool: IntArray) -> FloatArray:
    """The ranking's scores of the pooled items, NaN where it does not have them."""
    from rerankit.scores import ListScores

    rows, places = np.nonzero(ranking.mask)
    listed = ListScores.from_cells(
        rows, ranking.indices[rows, places], ranking.scores[rows, places], (len(ranking), ranking.gallery_size)
    )
    found = listed.pairs(np.arange(len(ranking))[:, None], np.where(pool >= 0, pool, 0))
    return np.where((pool >= 0) & np.isfinite(found), found, np.float32(np.nan))
