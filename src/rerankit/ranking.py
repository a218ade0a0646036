"""Ranking: per query the first K gallery items with scores, best first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import (
    AnyArray,
    BoolArray,
    FloatArray,
    IntArray,
    check_finite,
    frozen,
    int_matrix,
    real_matrix,
    row_numbers,
)
from rerankit.errors import InputError, rule, several
from rerankit.ids import Ids, as_ids, same_ids
from rerankit.scores.topk import ascending_bits, float32_of_bits, order
from rerankit.values import Named, Value

_LOWEST = int(ascending_bits(np.array(np.finfo(np.float32).min)))  # infinities are no scores


class Ranking(Value):
    """The first K gallery items of each query, best first; immutable.

    `indices` (queries, K) int64 and `scores` (queries, K) float32, padded with −1 and −inf where a query has
    fewer. Scores never increase along a row. `notes` says what happened on the way and takes no part in
    equality.

    >>> ranking = Ranking([[2, 0], [1, -1]], [[0.9, 0.5], [0.7, -np.inf]], gallery_size=3)
    >>> ranking
    Ranking(2 queries × 2 of 3 items)
      0: 2 (0.9), 0 (0.5)
      1: 1 (0.7)
    >>> ranking.to_dict()
    {0: {2: 0.9, 0: 0.5}, 1: {1: 0.7}}
    """

    indices: IntArray
    scores: FloatArray
    gallery_size: int
    query_ids: Ids | None
    gallery_ids: Ids | None
    notes: Named[Any]

    def __init__(
        self,
        indices: Any,
        scores: Any,
        *,
        gallery_size: int | None = None,
        query_ids: Any = None,
        gallery_ids: Any = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        items = int_matrix(indices, "indices")
        values = real_matrix(scores, "scores").astype(np.float32, copy=False)
        if items.shape != values.shape:
            raise rule("scores", f"must have the shape of 'indices', {items.shape}", f"shape {values.shape}")
        size = int(items.max()) + 1 if gallery_size is None else checks.integer("gallery_size", gallery_size, least=1)
        _check_items(items, size)
        _check_values(items, values)
        self._keep(
            indices=_own(items),
            scores=_own(values),
            gallery_size=size,
            query_ids=as_ids(query_ids, len(items), "query_ids"),
            gallery_ids=as_ids(gallery_ids, size, "gallery_ids"),
            notes=Named(notes),
        )

    @classmethod
    def ordered(cls, indices: IntArray, scores: FloatArray, **rest: Any) -> Ranking:
        """A ranking from items and scores in any order, put in the order of the tie rule."""
        return cls(*order(np.asarray(scores, np.float32), indices), **rest)

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, K)."""
        return self.indices.shape[0], self.indices.shape[1]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def mask(self) -> BoolArray:
        """Which places (queries, K) hold an item rather than padding."""
        return self.indices >= 0

    def top(self, k: int) -> Ranking:
        """The first k places."""
        checks.integer("k", k, least=1)
        return self._like(self.indices[:, :k], self.scores[:, :k])

    def take(self, queries: Any) -> Ranking:
        """The rows of some queries, in the given order."""
        rows = row_numbers(queries, len(self), "queries")
        ids = None if self.query_ids is None else self.query_ids.take(rows)
        return self._like(self.indices[rows], self.scores[rows], query_ids=ids)

    def with_scores(self, scores: Any) -> Ranking:
        """The same candidates under new scores (queries, K), re-ordered by the tie rule."""
        values = real_matrix(scores, "scores").astype(np.float32, copy=False)
        if values.shape != self.shape:
            raise rule("scores", f"must have the ranking's shape {self.shape}", f"shape {values.shape}")
        check_finite(np.where(self.mask, values, 0), "scores")
        return self._like(*order(values, self.indices))

    def with_notes(self, **notes: Any) -> Ranking:
        """The same ranking with more notes."""
        return self._like(self.indices, self.scores, notes=self.notes | notes)

    def to_dict(self) -> dict[Any, dict[Any, float]]:
        """``{query: {item: score}}`` with ids where there are any; scores rounded to float32's own digits."""
        queries = range(len(self)) if self.query_ids is None else self.query_ids.tolist()
        result: dict[Any, dict[Any, float]] = {}
        for row, query in enumerate(queries):
            items = self.indices[row][self.indices[row] >= 0]
            names = items if self.gallery_ids is None else self.gallery_ids[items]
            values = (float(str(value)) for value in self.scores[row][: len(items)])
            result[query] = dict(zip(names.tolist(), values, strict=True))
        return result

    def to_dense(self, fill: float = -np.inf) -> FloatArray:
        """A matrix (queries, gallery) with `fill` where an item is not ranked."""
        dense = np.full((len(self), self.gallery_size), fill, np.float32)
        rows, places = np.nonzero(self.mask)
        dense[rows, self.indices[rows, places]] = self.scores[rows, places]
        return dense

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranking):
            return NotImplemented
        return (
            self.gallery_size == other.gallery_size
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.scores, other.scores)
            and same_ids(self.query_ids, other.query_ids)
            and same_ids(self.gallery_ids, other.gallery_ids)
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._keep(**{**state, "indices": frozen(state["indices"]), "scores": frozen(state["scores"])})

    def __hash__(self) -> int:
        return hash((self.gallery_size, self.indices.tobytes(), (self.scores + 0).tobytes()))  # −0 equals 0

    def __repr__(self) -> str:
        head = f"Ranking({len(self)} queries × {self.shape[1]} of {self.gallery_size} items)"
        lines = [self._line(row) for row in range(min(3, len(self)))]
        more = ["  …"] if len(self) > 3 else []
        return "\n".join([head, *lines, *more])

    def _line(self, row: int) -> str:
        query = row if self.query_ids is None else self.query_ids[row]
        items = self.indices[row][self.indices[row] >= 0]
        shown = [
            f"{item if self.gallery_ids is None else self.gallery_ids[item]} ({score:.4g})"
            for item, score in zip(items[:5], self.scores[row], strict=False)
        ]
        return f"  {query}: {', '.join(shown)}{', …' if len(items) > 5 else ''}"

    def _like(self, indices: IntArray, scores: FloatArray, **changes: Any) -> Ranking:
        """A ranking made from this one; what it is made of is right already, and is not checked again."""
        return self._made(**{**self.__dict__, "indices": frozen(indices), "scores": frozen(scores), **changes})


def splice(head: Ranking, tail: Ranking) -> Ranking:
    """`head` (the first places, re-ordered) in front of the rest of `tail`, which keeps its order.

    The seam rule: the head keeps its scores; when a tail score is not below the head's last, the whole row of
    the tail is shifted down to lie just below it, so that scores never increase and gaps inside the tail stay.

    >>> head = Ranking([[1, 0]], [[5.0, 4.0]], gallery_size=3)
    >>> splice(head, Ranking([[0, 1, 2]], [[9.0, 8.0, 7.0]], gallery_size=3)).indices
    array([[1, 0, 2]])
    """
    depth = head.shape[1]
    if not same_candidates(head.indices, tail.indices[:, :depth]):
        raise rule("head", "must hold the candidates of the first places of 'tail', each once", "others")
    rest, scores = tail.indices[:, depth:], tail.scores[:, depth:]
    if rest.shape[1] == 0:
        return head
    return tail._like(
        np.concatenate([head.indices, rest], axis=1),
        np.concatenate([head.scores, _below(scores, rest >= 0, head.scores[:, -1:])], axis=1),
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
    places = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    # Keys from the last to the first: old place, index among equals, score, and scored before unscored.
    keys = (places, np.where(scored, ranking.indices, 0), np.where(scored, -values, 0), ~scored)
    chosen = np.lexsort(keys, axis=1)
    kept: IntArray = np.take_along_axis(ranking.indices, chosen, axis=1)
    new, old = (np.take_along_axis(array, chosen, axis=1) for array in (values, ranking.scores))
    # The others, moved to the beginning of their rows, go below the last of those with scores.
    count = scored.sum(axis=1, keepdims=True)
    last = np.where(count > 0, np.take_along_axis(new, np.maximum(count - 1, 0), axis=1), np.float32(np.inf))
    width = values.shape[1]
    moved = (places + count) % width
    rest = (places < width - count) & (np.take_along_axis(kept, moved, axis=1) >= 0)
    lowered = _below(np.where(rest, np.take_along_axis(old, moved, axis=1), np.float32(-np.inf)), rest, last)
    behind = np.take_along_axis(lowered, (places - count) % width, axis=1)
    return ranking._like(kept, np.where(places < count, new, behind))


def _below(scores: FloatArray, real: BoolArray, last: FloatArray) -> FloatArray:
    """Falling scores (queries, places) shifted to lie just below `last` (queries, 1), where they do not already.

    Scores that differ still differ: a shift can round neighbours to one number, and such a tie would be broken by
    the items' numbers when the ranking is read from a file, in place of by the order they have.
    """
    high = np.flatnonzero((scores[:, 0] >= last[:, 0]) & real[:, 0])
    lowered: FloatArray = scores.copy()
    if len(high):
        some, inside, top = scores[high], real[high], last[high]
        with np.errstate(over="ignore"):
            below = np.nextafter(top, np.float32(-np.inf), dtype=np.float32)
        kept = np.where(inside, some, some[:, :1])  # no infinities in the arithmetic
        shifted = (kept.astype(np.float64) - (kept[:, :1].astype(np.float64) - below)).astype(np.float32)
        # In the order of the floats, each place at least one step below the one before where it was below it.
        steps = np.zeros(kept.shape, np.int64)
        np.cumsum(kept[:, 1:] < kept[:, :-1], axis=1, out=steps[:, 1:])
        places = np.minimum.accumulate(ascending_bits(np.minimum(shifted, below)).astype(np.int64) + steps, axis=1)
        falling = float32_of_bits(np.maximum(places - steps, _LOWEST).astype(np.uint32))
        lowered[high] = np.where(inside, falling, np.float32(-np.inf))
    return lowered


def same_candidates(one: IntArray, other: IntArray) -> bool:
    """Whether two lists of items (queries, K) name the same ones for every query, in any order."""
    return one.shape == other.shape and (
        np.array_equal(one, other) or np.array_equal(np.sort(one, axis=1), np.sort(other, axis=1))
    )


def _own(array: AnyArray) -> AnyArray:
    """The array read-only; copied when the caller could still write to it."""
    return frozen(array.copy() if array.flags.writeable else array)


def _check_items(items: IntArray, size: int) -> None:
    if int(items.max()) >= size or int(items.min()) < -1:
        raise rule("indices", f"must lie in 0…{size - 1}, or be −1 for padding", f"{items.min()}…{items.max()}")
    if np.any((items[:, :-1] < 0) & (items[:, 1:] >= 0)):
        raise InputError("'indices' must have their padding (−1) at the end of a row")
    ascending = np.sort(items, axis=1)
    twice = (ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] >= 0)
    if twice.any():
        places = [(row, int(ascending[row, place])) for row, place in np.argwhere(twice).tolist()]
        raise rule("indices", "must not list an item twice in a row", several("repeated (row, item)", places))


def _check_values(items: IntArray, values: FloatArray) -> None:
    real = items >= 0
    check_finite(np.where(real, values, 0), "scores")
    if not np.isneginf(values[~real]).all():
        raise InputError("'scores' must be −inf where 'indices' are −1")
    rising = values[:, 1:] > values[:, :-1]
    if rising.any():
        row, place = (int(x) for x in np.argwhere(rising)[0])
        raise InputError(
            f"'scores' must not increase along a row (got {values[row, place]} before {values[row, place + 1]} "
            f"in row {row}); Ranking.ordered puts them in order"
        )
