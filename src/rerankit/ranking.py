"""Ranking: per query the first K gallery items with scores, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import (
    MOST_ITEMS,
    AnyArray,
    BoolArray,
    FloatArray,
    IntArray,
    frozen,
    int_matrix,
    real_matrix,
    row_numbers,
)
from rerankit.errors import NotFiniteError, rule
from rerankit.exports import Exports
from rerankit.finite import check_finite
from rerankit.ids import Ids, as_ids, same_ids
from rerankit.item_lists import left_out
from rerankit.padded import check_items, check_left_out, check_once, check_values, items_at, moved_first
from rerankit.pairs import Pairs
from rerankit.scores.topk import check_numbers, merge, order
from rerankit.ties import reordered
from rerankit.triples import from_dict, to_lists
from rerankit.values import Named, Value, same


class Ranking(Exports, Value):
    """The first K gallery items of each query, best first; immutable.

    `indices` (queries, K) int64 and `scores` (queries, K) float32, padded with −1 and −inf where a query has
    fewer. Scores never increase along a row. `excluded` are the items left out of a query's gallery, none of which is
    listed. It and `notes`, which says what happened on the way, take no part in equality.

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
    excluded: Pairs | None
    notes: Named[Any]

    def __init__(
        self,
        indices: Any,
        scores: Any,
        *,
        gallery_size: int | None = None,
        query_ids: Any = None,
        gallery_ids: Any = None,
        exclude: Any = None,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        items = int_matrix(indices, "indices")
        values = real_matrix(scores, "scores").astype(np.float32, copy=False)
        if items.shape != values.shape:
            raise rule("scores", f"must have the shape of 'indices', {items.shape}", f"shape {values.shape}")
        check_numbers(items)
        given = int(items.max()) + 1 if gallery_size is None else gallery_size
        size = checks.integer("gallery_size", given, least=1, most=MOST_ITEMS)
        check_items(items, size)
        check_values(items, values)
        names = as_ids(gallery_ids, size, "gallery_ids")
        excluded = left_out(exclude, (len(items), size), names)
        check_left_out(items, excluded)
        self._keep(
            indices=_own(items),
            scores=_own(values),
            gallery_size=size,
            query_ids=as_ids(query_ids, len(items), "query_ids"),
            gallery_ids=names,
            excluded=excluded,
            notes=Named(notes),
        )

    @classmethod
    def ordered(cls, indices: IntArray, scores: FloatArray, **rest: Any) -> Ranking:
        """A ranking from items and scores in any order, put in the order of the tie rule."""
        return cls(*order(np.asarray(scores, np.float32), indices), **rest)

    @classmethod
    def from_dict(
        cls, run: Mapping[Any, Mapping[Any, float]], *, query_ids: Any = None, gallery_ids: Any = None
    ) -> Ranking:
        """From a run ``{query: {item: score}}``, as `to_dict` gives it and JSON files have it.

        Without ids, queries come in the run's order, and the gallery is the items of all queries in natural order.

        >>> Ranking.from_dict({"cat": {"b": 0.4, "a": 0.9}}, gallery_ids=["a", "b", "c"])
        Ranking(1 queries × 2 of 3 items)
          cat: a (0.9), b (0.4)
        """
        found = to_lists(from_dict(run, "scores"), query_ids, gallery_ids)
        return cls.ordered(*found[:2], gallery_size=len(found.gallery_ids), query_ids=found[2], gallery_ids=found[3])

    @classmethod
    def merge(cls, parts: Sequence[Ranking], k: int | None = None) -> Ranking:
        """The first k (None: all) out of rankings of the same queries, such as those of several parts of a gallery.

        Scores are compared as they are, and equal ones come by index; an item may stand in one part only.

        >>> Ranking.merge([Ranking([[0, 1]], [[0.9, 0.2]], gallery_size=4), Ranking([[3]], [[0.5]])], k=2).indices
        array([[0, 3]])
        """
        _check_parts(parts, "queries", "gallery_size", "query_ids", "gallery_ids")
        width = sum(part.shape[1] for part in parts) if k is None else checks.integer("k", k, least=1)
        both = [np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("indices", "scores")]
        check_once(both[0])
        indices, scores = merge([(both[0], both[1])], width)
        left_out = [part.excluded for part in parts if part.excluded is not None]
        excluded = reduce(or_, left_out) if left_out else None
        return parts[0].like(indices, scores, excluded=excluded, notes=_common_notes(parts))

    @classmethod
    def concat(cls, parts: Sequence[Ranking]) -> Ranking:
        """Rankings of other queries against one gallery, one below the other; narrower ones are padded.

        >>> Ranking.concat([Ranking([[0, 1]], [[0.9, 0.2]]), Ranking([[1]], [[0.5]])]).indices
        array([[ 0,  1],
               [ 1, -1]])
        """
        _check_parts(parts, "gallery_size", "gallery_ids")
        named = [part.query_ids for part in parts if part.query_ids is not None]
        if named and len(named) < len(parts):
            raise rule("parts", "must all have query_ids or none", f"{len(named)} of {len(parts)} that have")
        width = max(part.shape[1] for part in parts)
        indices, scores = (
            np.concatenate([moved_first(getattr(part, name), part.mask, width) for part in parts])
            for name in ("indices", "scores")
        )
        ids = as_ids([name for one in named for name in one], len(indices), "query_ids") if named else None
        excluded = _stacked([part.excluded for part in parts], [len(part) for part in parts], parts[0].gallery_size)
        return parts[0].like(indices, scores, query_ids=ids, excluded=excluded, notes=_common_notes(parts))

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
        if checks.integer("k", k, least=1) >= self.shape[1]:
            return self
        return self.like(self.indices[:, :k], self.scores[:, :k])

    def keep(self, candidates: Any) -> Ranking:
        """Only the candidates for which `candidates` (queries, K) is true, in their order; at least one place wide.

        >>> Ranking([[2, 0], [1, 0]], [[3, 2], [3, 2]]).keep([[False, True], [True, True]]).indices
        array([[ 0, -1],
               [ 1,  0]])
        """
        kept = np.asarray(candidates, bool)
        if kept.shape != self.shape:
            raise rule("candidates", f"must have the ranking's shape {self.shape}", f"shape {kept.shape}")
        kept = kept & self.mask
        return self.like(moved_first(self.indices, kept), moved_first(self.scores, kept))

    def excluding(self, exclude: Any) -> Ranking:
        """The ranking without some items of each query's gallery, in any form of a problem's `exclude`.

        >>> Ranking([[2, 0], [1, 0]], [[3, 2], [3, 2]], gallery_size=3).excluding([[2], []]).indices
        array([[ 0, -1],
               [ 1,  0]])
        """
        pairs = left_out(exclude, (len(self), self.gallery_size), self.gallery_ids)
        if pairs is None or pairs is self.excluded:
            return self
        kept = self.keep(~pairs.holds(self.indices))  # as wide as the longest list, in any part of the queries
        return kept.like(kept.indices, kept.scores, excluded=pairs if self.excluded is None else self.excluded | pairs)

    def take(self, queries: Any) -> Ranking:
        """The rows of some queries, in the given order."""
        rows = row_numbers(queries, len(self), "queries")
        ids = None if self.query_ids is None else self.query_ids.take(rows)
        excluded = None if self.excluded is None else self.excluded.take(rows)
        return self.like(self.indices[rows], self.scores[rows], query_ids=ids, excluded=excluded)

    def with_scores(self, scores: Any) -> Ranking:
        """The same candidates under new scores (queries, K), re-ordered by the tie rule of `rerankit.ties`.

        >>> Ranking([[2, 0, 1]], [[3, 2, 1]]).with_scores([[0.5, 0.7, 0.5]]).indices
        array([[0, 2, 1]])
        """
        values = real_matrix(scores, "scores").astype(np.float32, copy=False)
        if values.shape != self.shape:
            raise rule("scores", f"must have the ranking's shape {self.shape}", f"shape {values.shape}")
        there = self.mask
        whole = bool(there.all())
        check_finite(values if whole else np.where(there, values, 0), "scores", error=NotFiniteError)
        places, parted = reordered(values, self.scores, there)
        items = self.indices[np.arange(len(self))[:, None], places] if whole else items_at(self.indices, places)
        return self.like(items, parted)

    def with_notes(self, **notes: Any) -> Ranking:
        """The same ranking with more notes."""
        return self.like(self.indices, self.scores, notes=self.notes | notes)

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

    def like(self, indices: IntArray, scores: FloatArray, **changes: Any) -> Ranking:
        """A ranking made from this one, of parts that have been checked already."""
        return self.from_checked(**{**self.__dict__, "indices": frozen(indices), "scores": frozen(scores), **changes})


def _check_parts(parts: Sequence[Ranking], *alike: str) -> None:
    """Refuse parts that cannot be put together: no rankings, or of other queries or another gallery."""
    if isinstance(parts, Ranking) or not parts or not all(isinstance(part, Ranking) for part in parts):
        raise rule("parts", "must be a list of at least one Ranking", parts)
    traits = [{"queries": len(part), **part.__dict__} for part in parts]
    for name in alike:
        if any(one[name] is not traits[0][name] and one[name] != traits[0][name] for one in traits[1:]):
            shown = [one[name] for one in traits[:3]]
            raise rule("parts", f"must have the same {name}", f"{shown}")


def _stacked(parts: Sequence[Pairs | None], queries: Sequence[int], items: int) -> Pairs | None:
    """Pairs of other queries, one below the other."""
    if all(part is None for part in parts):
        return None
    starts = np.cumsum([0, *queries])
    rows = [part.rows + start for part, start in zip(parts, starts[:-1], strict=True) if part is not None]
    columns = [part.indices for part in parts if part is not None]
    return Pairs(np.concatenate(rows), np.concatenate(columns), (int(starts[-1]), items))


def _common_notes(parts: Sequence[Ranking]) -> Named[Any]:
    """The notes that all parts have."""
    first, *rest = (part.notes for part in parts)
    return Named({name: note for name, note in first.items() if all(same(one.get(name), note) for one in rest)})


def _own(array: AnyArray) -> AnyArray:
    """The array read-only; copied when the caller could still write to it."""
    return frozen(array.copy() if array.flags.writeable else array)
