"""Places from anything ranked: dense scores by counting, rankings by position, or one behind the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.arrays import real_matrix
from rerankit.errors import InputError, rule
from rerankit.metrics.counting import MOST_LEVELS, ColumnCounter, Counts, RowCounter, count
from rerankit.metrics.lists import FloatArray, IntArray, Lists, Truth
from rerankit.metrics.places import Places, Ties, places
from rerankit.metrics.positions import list_counts, positions
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import DenseScores, ListScores, Scores


def opened(ranked: Any) -> Any:
    """An array, complete `Scores` or a `Ranking` from anything that can be evaluated."""
    if isinstance(ranked, Ranking):
        return ranked
    scores = ranked.scores if isinstance(ranked, Problem) else ranked
    if isinstance(scores, DenseScores) and scores.is_array and scores.array.dtype == np.float32:
        return scores.array
    if all(callable(getattr(scores, name, None)) for name in ("rows", "pairs", "topk")):
        return scores if scores.complete else _listed(scores)
    return real_matrix(scores, "scores")


def _listed(scores: Scores) -> Ranking:
    longest = int(np.diff(scores.starts).max(initial=1)) if isinstance(scores, ListScores) else scores.shape[1]
    return Ranking(*scores.topk(max(longest, 1)), gallery_size=scores.shape[1])


def size_of(ranked: Any) -> tuple[int, int]:
    """(queries, gallery) of something `opened`."""
    if isinstance(ranked, Ranking):
        return len(ranked), ranked.gallery_size
    queries, gallery = ranked.shape
    return int(queries), int(gallery)


def check_shapes(ranked: Any, truth: Truth, argument: str = "relevance") -> None:
    """Scores and relevance must be about the same queries and gallery."""
    shape = (truth.queries, truth.gallery)
    if size_of(ranked) != shape:
        raise rule(argument, f"must have the shape of what is evaluated, {size_of(ranked)}", f"shape {shape}")


def places_of(ranked: Any, truth: Truth, ties: Ties = "expected", tail: Any = None) -> Places:
    """Places of the relevant items in a ranking or in scores (both `opened`).

    With `tail`, scores that stand behind a ranking: items that the ranking does not list follow it in the
    order of those scores.
    """
    if not isinstance(ranked, Ranking):
        counts = row_counts(ranked, truth.relevant, truth.excluded, ties)
        return places(truth, truth.relevant.queries, counts, truth.grades, ties)
    counts, listed = list_counts(ranked, truth.relevant, truth.excluded)
    if tail is not None and not listed.all():
        _fill_tail(ranked, tail, truth, counts, listed, ties)
        listed[:] = True
    chosen = Counts(counts.above[listed], counts.tied[listed], counts.before[listed])
    return places(truth, truth.relevant.queries[listed], chosen, truth.grades[listed], ties)


def row_counts(source: Any, wanted: Lists, removed: Lists, ties: Ties) -> Counts:
    """Counts of wanted items along rows of complete scores."""
    if _is_transposed(source) and _fits_one_pass(wanted, ties):
        columns = ColumnCounter(wanted, removed, source.T)
        count(source.T, columns)
        return columns.counts()
    rows = RowCounter(wanted, removed, source.shape[1], ties == "index")
    count(source, rows)
    return rows.counts()


def _is_transposed(source: Any) -> bool:
    """Whether reading the transposed array is reading memory in its order."""
    return isinstance(source, np.ndarray) and source.T.flags.c_contiguous and not source.flags.c_contiguous


def _fits_one_pass(wanted: Lists, ties: Ties) -> bool:
    return ties != "index" and int(wanted.counts.max(initial=0)) <= MOST_LEVELS


def _fill_tail(
    head: Ranking, tail: Any, truth: Truth, counts: Counts, listed: np.ndarray[Any, Any], ties: Ties
) -> None:
    """Counts of the items not in `head`: as many as it holds, and those above them in the rest of `tail`."""
    if isinstance(tail, Ranking) or size_of(tail) != size_of(head):
        raise InputError(f"'tail' must be complete scores of shape {size_of(head)} (got {size_of(tail)})")
    rows = np.repeat(np.arange(len(head)), head.mask.sum(axis=1))
    keys = np.concatenate([rows * truth.gallery + head.indices[head.mask], truth.excluded.keys(truth.gallery)])
    keys.sort()
    keys = keys[np.diff(keys, prepend=-1) > 0]  # an excluded item of the head counts once
    ends = np.searchsorted(keys, np.arange(truth.queries + 1) * truth.gallery)
    removed = Lists(ends.astype(np.int64), keys % truth.gallery)
    wanted = truth.relevant.keep(~listed)
    found = row_counts(tail, wanted, removed, ties)
    # Items of the head that are left out of the gallery are not ahead of anything.
    ahead = removed.counts - truth.excluded.counts
    counts.above[~listed] = found.above + ahead[wanted.queries]
    counts.tied[~listed] = found.tied
    counts.before[~listed] = found.before


def both_places(matrix: Any, truth: Truth, reverse: Truth, ties: Ties = "expected") -> tuple[Places, Places]:
    """Places along the rows and along the columns of one matrix, in one pass over it where that is possible."""
    if not isinstance(matrix, np.ndarray) or not _fits_one_pass(reverse.relevant, ties):
        return places_of(matrix, truth, ties), places_of(matrix.T, reverse, ties)
    rows = RowCounter(truth.relevant, truth.excluded, matrix.shape[1])
    columns = ColumnCounter(reverse.relevant, reverse.excluded, matrix)
    count(matrix, rows, columns)
    return (
        places(truth, truth.relevant.queries, rows.counts(), truth.grades, ties),
        places(reverse, reverse.relevant.queries, columns.counts(), reverse.grades, ties),
    )


def subset_places(ranked: Any, truth: Truth, subset: Lists, ties: Ties = "expected", tail: Any = None) -> Places:
    """Places when each query looks only among the items of its own subset (CIRR's R_subset)."""
    values, level = _values(ranked, subset, tail)
    keys, wanted = subset.keys(truth.gallery), truth.relevant.keys(truth.gallery)
    order = np.argsort(keys, kind="stable")
    spot = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    if not len(keys) or np.any(missing := keys[order][spot] != wanted):
        lost = truth.relevant.queries if not len(keys) else truth.relevant.queries[missing]
        raise InputError(
            f"'subset' must hold every relevant item (got {len(lost)} missing, the first for queries "
            f"{np.unique(lost)[:3].tolist()})"
        )
    member = order[spot]
    counts = _count_in_subset(subset, truth, member, values, level)
    listed = level[member] >= 0
    chosen = Counts(counts.above[listed], counts.tied[listed], counts.before[listed])
    return places(truth, truth.relevant.queries[listed], chosen, truth.grades[listed], ties)


def _values(ranked: Any, subset: Lists, tail: Any) -> tuple[FloatArray, IntArray]:
    """Score of each member, and its level: 1 in the list (or the only scores), 0 in the tail, −1 nowhere."""
    rows = subset.queries
    if not isinstance(ranked, Ranking):
        return _pairs(ranked, rows, subset.items), np.ones(len(rows), np.int64)
    place = positions(ranked, subset)
    level = np.where(place >= 0, 1, -1 if tail is None else 0)
    values = ranked.scores[rows, np.maximum(place, 0)].astype(np.float64)
    if tail is not None:
        values = np.where(level == 1, values, _pairs(tail, rows, subset.items))
    return values, level


def _pairs(source: Any, rows: IntArray, columns: IntArray) -> FloatArray:
    values = source[rows, columns] if isinstance(source, np.ndarray) else source.pairs(rows, columns)
    if not np.isfinite(values).all():
        raise InputError(f"'scores' must be finite (got {np.count_nonzero(~np.isfinite(values))} values that are not)")
    return np.asarray(values, np.float64)


def _count_in_subset(subset: Lists, truth: Truth, member: IntArray, values: FloatArray, level: IntArray) -> Counts:
    above, tied, before = (np.zeros(len(member), np.int64) for _ in range(3))
    gone = np.isin(subset.keys(truth.gallery), truth.excluded.keys(truth.gallery)) | (level < 0)
    for place, (query, own) in enumerate(zip(truth.relevant.queries, member, strict=True)):
        span = slice(subset.indptr[query], subset.indptr[query + 1])
        here = ~gone[span]
        same_level = level[span] == level[own]
        higher = (level[span] > level[own]) | (same_level & (values[span] > values[own]))
        same = same_level & (values[span] == values[own]) & here
        above[place] = np.count_nonzero(higher & here)
        tied[place] = np.count_nonzero(same)
        before[place] = np.count_nonzero(same & (subset.items[span] < subset.items[own]))
    return Counts(above, tied, before)
