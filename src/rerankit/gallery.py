"""Gallery: items that stand ready to be searched, with what is known before any query comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerankit.arrays import IntArray, frozen
from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.features import features_of
from rerankit.ids import Ids, as_ids
from rerankit.item_lists import item_rows, left_out, list_scores, one_or_more
from rerankit.labelled import labelled_vectors
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, ListScores, Scores, VectorMetric, as_scores, order
from rerankit.sides import Side, similarities
from rerankit.values import Named, Value


class Gallery(Value):
    """Items that are searched, their ids, features and relations, and a `bank` of old queries.

    `vectors` (items, d) are searched with query vectors; similarities among the items come from them. `bank` are
    vectors (bank, d) of old queries, or a `Bank`; `gallery_bank` is a `Bank` of other items. A gallery is a value, and
    `rerankit.prepare` makes one ready for a stage.

    >>> gallery = Gallery([[1.0, 0.0], [0.6, 0.8]], ids=["cat", "dog"], bank=[[1.0, 0.1], [0.9, 0.2]])
    >>> gallery
    Gallery(2 items, cosine vectors of width 2, bank of 2)
    >>> gallery.problem([0.0, 1.0])
    Problem(1 queries × 2 items, EmbeddingScores, with query_bank)
    """

    side: Side
    """The items."""
    bank: Bank | None
    """Other queries, known beforehand, or None."""

    def __init__(
        self,
        vectors: Any,
        *,
        ids: Any = None,
        metric: VectorMetric = "cosine",
        bank: Any = None,
        features: Mapping[str, Any] | None = None,
        gallery_bank: Bank | None = None,
    ) -> None:
        vectors, ids = labelled_vectors(vectors, ids, "vectors")
        among = EmbeddingScores.within(vectors, metric)
        side = _side(among.shape[1], among, ids, features, gallery_bank, computed=True)
        if bank is not None and not isinstance(bank, Bank):
            bank = Bank.from_embeddings(bank, among, "bank", held=True)
        self._keep(side=side, bank=_fitting(bank, "bank", side.size))

    @classmethod
    def from_scores(
        cls,
        *,
        gallery_scores: Any = None,
        bank: Bank | None = None,
        ids: Any = None,
        features: Mapping[str, Any] | None = None,
        gallery_bank: Bank | None = None,
        size: int | None = None,
    ) -> Gallery:
        """From matrices alone: queries bring their scores.

        `gallery_scores` (items, items) compare the items, `bank` is a `Bank(to_gallery=…)`. `size` is the number of
        items, needed where nothing else gives it.

        >>> Gallery.from_scores(bank=Bank(to_gallery=[[0.1, 0.2, 0.3]]))
        Gallery(3 items, bank of 1)
        """
        among = None if gallery_scores is None else as_scores(gallery_scores, "gallery_scores")
        count = _size(size, among, bank, ids, features)
        if among is not None and among.shape != (count, count):
            raise rule("gallery_scores", f"must have shape {(count, count)}, that of the items", f"{among.shape}")
        among = None if among is None else similarities(among, "gallery_scores")
        side = _side(count, among, ids, features, gallery_bank)
        return cls.from_checked(side=side, bank=_fitting(bank, "bank", count))

    @classmethod
    def of(cls, problem: Problem) -> Gallery:
        """The gallery of a problem, with its banks."""
        bank = problem.query_bank
        return cls.from_checked(side=problem.gallery, bank=None if bank is None or bank.to_gallery is None else bank)

    def with_bank(self, bank: Any) -> Gallery:
        """The same items with another bank of queries: a `Bank`, or vectors where the gallery has vectors."""
        if not isinstance(bank, Bank) and self.embeddings is not None:
            bank = Bank.from_embeddings(bank, self.embeddings, "bank", held=True)
        return self.from_checked(side=self.side, bank=_fitting(bank, "bank", self.size))

    @property
    def size(self) -> int:
        """The number of items."""
        return self.side.size

    @property
    def ids(self) -> Ids | None:
        """The ids of the items, or None."""
        return self.side.ids

    @property
    def embeddings(self) -> EmbeddingScores | None:
        """The similarities among the items, where they come from vectors."""
        return self.side.scores if self.side.computed and isinstance(self.side.scores, EmbeddingScores) else None

    def problem(
        self,
        queries: Any = None,
        *,
        candidates: Any = None,
        scores: Any = None,
        ids: Any = None,
        features: Mapping[str, Any] | None = None,
        exclude: Any = None,
        bank_scores: Any = None,
        extra_scores: Mapping[str, Any] | None = None,
    ) -> Problem:
        """Queries against this gallery: their vectors (d,) or (queries, d), or else their scores.

        `scores` are rows (queries, items), or those of `candidates`, lists by id or row, best first. `exclude` is that
        of a `Problem`. `bank_scores` (queries, bank) compare the queries with the bank where no vectors do.
        """
        between = self._between(queries, candidates, scores)
        count = between.shape[0]
        side = Side(
            count,
            as_ids(ids, count, "ids"),
            between.among_rows() if isinstance(between, EmbeddingScores) else None,
            computed=isinstance(between, EmbeddingScores),
            features=features_of(features, count, "features"),
            bank=self._bank_facing(between, bank_scores),
        )
        made = Problem.from_checked(
            scores=between,
            queries=side,
            gallery=self.side,
            extra_scores=Named(),
            excluded=left_out(exclude, (count, self.size), self.ids),
        )
        return made if extra_scores is None else made.with_extra_scores(extra_scores)

    def ranking(self, problem: Problem, candidates: Any = None, scores: Any = None, k: int | None = 100) -> Ranking:
        """The first k of this gallery's items for queries of `problem`: all of them are searched, or `candidates`.

        `scores` are those with which the candidates were found; without them their order counts.
        """
        if candidates is None:
            return problem.ranking(k)
        rows = item_rows(candidates, self.ids, self.size, "candidates")
        if len(rows) != problem.shape[0]:
            raise rule("candidates", f"must be a list for each of the {problem.shape[0]} queries", f"{len(rows)} lists")
        indices, values = order(list_scores(scores, rows), rows)
        made = Ranking.from_checked(
            indices=frozen(indices),
            scores=frozen(values),
            gallery_size=self.size,
            query_ids=problem.query_ids,
            gallery_ids=self.ids,
            excluded=None,
            notes=Named(),
        )
        kept = made if problem.excluded is None else made.excluding(problem.excluded)
        return kept if k is None else kept.top(k)

    def _between(self, queries: Any, candidates: Any, scores: Any) -> Scores:
        """Scores of queries against the items: computed where there are vectors of both, given otherwise."""
        if queries is not None:
            if self.embeddings is None:
                raise InputError("'queries' need a gallery of vectors, Gallery(vectors): give 'scores' in their place")
            if scores is not None and candidates is None:
                raise InputError("'scores' stand in the place of 'queries', or belong to 'candidates' (got both)")
            return self.embeddings.with_rows(one_or_more(queries, "queries"))
        if candidates is not None:
            rows = item_rows(candidates, self.ids, self.size, "candidates")
            return ListScores(rows, list_scores(scores, rows), self.size, "candidates")
        if scores is None:
            raise InputError("'queries' must be given, or 'scores' or 'candidates' in their place (got none)")
        given = as_scores(one_or_more(scores, "scores"))
        if given.shape[1] != self.size:
            raise rule("scores", f"must have a column for each of the {self.size} items", f"shape {given.shape}")
        return given

    def _bank_facing(self, between: Scores, bank_scores: Any) -> Bank | None:
        """The bank with its similarities to the queries, where they are known."""
        if self.bank is None:
            return None
        if bank_scores is not None:
            given = as_scores(one_or_more(bank_scores, "bank_scores"), "bank_scores")
            wanted = between.shape[0], self.bank.size
            if given.shape != wanted:
                raise rule("bank_scores", f"must have shape {wanted}, queries and bank", f"shape {given.shape}")
            return self.bank.facing(given.T)
        known = self.bank.to_gallery
        both = isinstance(known, EmbeddingScores) and isinstance(between, EmbeddingScores)
        return self.bank.facing(known.facing(between) if both else None)  # type: ignore[union-attr]

    def __repr__(self) -> str:
        given = [f"{self.size} items"]
        if self.embeddings is not None:
            given.append(f"{self.embeddings.metric} vectors of width {self.embeddings.gallery.shape[1]}")
        elif self.side.scores is not None:
            given.append("gallery_scores")
        given += [] if self.bank is None else [f"bank of {self.bank.size}"]
        given += list(self.side.features)
        return f"Gallery({', '.join(given)})"


def rows_of(gallery: Gallery, items: Any, argument: str) -> IntArray:
    """Rows (n,) of items named once, by id or by row."""
    lists = item_rows(items, gallery.ids, gallery.size, argument)
    if len(lists) > 1:
        raise rule(argument, "must be one list of items", f"{len(lists)} lists")
    rows: IntArray = lists[0][lists[0] >= 0]
    return rows


def _side(
    size: int,
    among: Scores | None,
    ids: Any,
    features: Mapping[str, Any] | None,
    bank: Bank | None,
    computed: bool = False,
) -> Side:
    return Side(
        size,
        as_ids(ids, size, "ids"),
        among,
        computed,
        features_of(features, size, "features"),
        None if bank is None else _bank(bank, "gallery_bank", size),
    )


def _fitting(bank: Bank | None, argument: str, size: int) -> Bank | None:
    """A bank of queries that belongs to a gallery of this size; its queries, if any, are others."""
    if bank is None:
        return None
    given = _bank(bank, argument, size)
    if given.to_gallery is None:
        raise rule(argument, "must have its similarities to the gallery: give Bank(to_gallery=…)", given)
    return given.facing(None)


def _bank(bank: Any, argument: str, size: int) -> Bank:
    if not isinstance(bank, Bank):
        raise rule(argument, "must be a rerankit.Bank, such as Bank(to_gallery=…)", type(bank).__name__)
    given: Bank = bank
    if given.to_gallery is not None and given.to_gallery.shape[1] != size:
        raise rule(argument, f"must have a column for each of the {size} items", f"shape {given.to_gallery.shape}")
    return given


def _size(size: int | None, among: Scores | None, bank: Bank | None, ids: Any, features: Any) -> int:
    if size is not None:
        return size
    if among is not None:
        return among.shape[1]
    if isinstance(bank, Bank) and bank.to_gallery is not None:
        return bank.to_gallery.shape[1]
    for given in (ids, *(features or {}).values()):
        if given is not None:
            return len(given)
    raise InputError("'size', the number of items, must be given where nothing else says it (got nothing)")
