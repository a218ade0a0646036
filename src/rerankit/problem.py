"""Problem: what a backbone hands over, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import IntArray, check_all_finite, is_memory_map, real_matrix, row_numbers
from rerankit.bank import Bank
from rerankit.errors import rule
from rerankit.features import Feature, features_of
from rerankit.ids import Ids, as_ids
from rerankit.pairs import Pairs, as_pairs
from rerankit.ranking import Ranking
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Metric, Scores, as_scores
from rerankit.sides import SIDES, Side, SideName
from rerankit.values import Named, Value

_OWN = ("ranking", "scores")  # what stages call the scores that come in, and the problem's own


class Problem(Value):
    """Scores of queries against a gallery (higher is better, rows are queries), and what is known of both sides.

    `query_scores` (queries, queries) and `gallery_scores` (gallery, gallery) compare items of one side;
    `extra_scores` maps names to further scores between the same sides, of another backbone, say; `query_features` and
    `gallery_features` map names to inputs with one entry per item (`rerankit.features`); `query_bank` and
    `gallery_bank` are other items of a side's kind, not under test; `exclude` says which items are left out of a
    query's gallery (a list of items per query, or the `excluded` of a `Relevance`): they are no candidates and cost no
    pair.
    Nothing given is modified, and nothing is copied that need not be. A problem is a value: `queries` and `gallery`,
    its two sides, are shared with the problems made from it.

    >>> problem = Problem([[0.1, 0.9], [0.8, 0.3]], query_ids=["cat", "dog"])
    >>> problem
    Problem(2 queries × 2 items)
    >>> problem.ranking(1).to_dict()
    {'cat': {1: 0.9}, 'dog': {0: 0.8}}
    """

    scores: Scores
    queries: Side
    """The items of the rows."""
    gallery: Side
    """The items of the columns."""
    extra_scores: Named[Scores]
    """Further scores between the same sides, by name."""
    excluded: Pairs | None
    """Items left out of a query's gallery, or None."""

    def __init__(
        self,
        scores: Any,
        *,
        query_scores: Any = None,
        gallery_scores: Any = None,
        query_ids: Any = None,
        gallery_ids: Any = None,
        extra_scores: Mapping[str, Any] | None = None,
        query_features: Mapping[str, Any] | None = None,
        gallery_features: Mapping[str, Any] | None = None,
        query_bank: Bank | None = None,
        gallery_bank: Bank | None = None,
        exclude: Any = None,
    ) -> None:
        between = as_scores(scores)
        shape = between.shape
        sides = (
            _side("query", shape, query_scores, query_ids, query_features, query_bank),
            _side("gallery", shape, gallery_scores, gallery_ids, gallery_features, gallery_bank),
        )
        self._keep(
            scores=between,
            **_related(between, *sides),
            extra_scores=_extra(extra_scores, shape),
            excluded=as_pairs(exclude, shape, "exclude"),
        )

    @classmethod
    def from_embeddings(
        cls,
        queries: Any,
        gallery: Any,
        metric: Metric = "cosine",
        *,
        query_bank: Any = None,
        gallery_bank: Any = None,
        **rest: Any,
    ) -> Problem:
        """From vectors (queries, d) and (gallery, d); all similarities are computed in blocks when asked.

        The banks are vectors of other items, (bank, d).

        >>> Problem.from_embeddings([[1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]]).gallery_scores.rows().round(2)
        array([[1.  , 0.71],
               [0.71, 1.  ]], dtype=float32)
        """
        scores = EmbeddingScores(queries, gallery, metric)
        banks = {
            side: None if vectors is None else Bank.from_embeddings(vectors, scores, side)
            for side, vectors in (("query_bank", query_bank), ("gallery_bank", gallery_bank))
        }
        return cls(scores, **banks, **rest)  # type: ignore[arg-type]

    @classmethod
    def from_distances(
        cls, distances: Any, *, query_distances: Any = None, gallery_distances: Any = None, **rest: Any
    ) -> Problem:
        """From matrices in which lower is better; scores are minus the distances.

        >>> Problem.from_distances([[0.2, 0.7]]).ranking(1).indices
        array([[0]])
        """
        return cls(
            _negated(distances, "distances"),
            query_scores=None if query_distances is None else _negated(query_distances, "query_distances"),
            gallery_scores=(None if gallery_distances is None else _negated(gallery_distances, "gallery_distances")),
            **rest,
        )

    @classmethod
    def from_rankings(cls, indices: Any, scores: Any, gallery_size: int, **rest: Any) -> Problem:
        """From top-k lists (queries, k), padded with −1, as a vector database returns them.

        >>> Problem.from_rankings([[5, 2]], [[0.9, 0.4]], gallery_size=10).ranking(2).indices
        array([[5, 2]])
        """
        return cls(ListScores(indices, scores, gallery_size), **rest)

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, gallery)."""
        return self.queries.size, self.gallery.size

    @property
    def query_ids(self) -> Ids | None:
        """The ids of the queries, or None."""
        return self.queries.ids

    @property
    def gallery_ids(self) -> Ids | None:
        """The ids of the gallery items, or None."""
        return self.gallery.ids

    @property
    def query_scores(self) -> Scores | None:
        """Similarities among the queries (queries, queries), or None; computed when embeddings are known."""
        return self.queries.scores

    @property
    def gallery_scores(self) -> Scores | None:
        """Similarities among the gallery items (gallery, gallery), or None."""
        return self.gallery.scores

    @property
    def query_bank(self) -> Bank | None:
        """Other queries, known beforehand and not under test, or None."""
        return self.queries.bank

    @property
    def gallery_bank(self) -> Bank | None:
        """Other gallery items, known beforehand and not under test, or None."""
        return self.gallery.bank

    @property
    def embeddings(self) -> EmbeddingScores | None:
        """The scores as embeddings when all relations come from them alone; None when any matrix was given."""
        alone = self.queries.computed and self.gallery.computed
        return self.scores if alone and isinstance(self.scores, EmbeddingScores) else None

    @property
    def query_features(self) -> Named[Feature]:
        """Features of the queries by name."""
        return self.queries.features

    @property
    def gallery_features(self) -> Named[Feature]:
        """Features of the gallery items by name."""
        return self.gallery.features

    def ranking(self, k: int | None = None) -> Ranking:
        """The first k items of every query (all of them by default) by these scores, without those left out."""
        size = self.shape[1]
        wanted = size if k is None else min(checks.integer("k", k, least=1), size)
        # So many more that every query has k candidates when those left out are gone.
        more = 0 if self.excluded is None else int(self.excluded.counts.max(initial=0))
        indices, scores = self.scores.topk(min(wanted + more, size))
        found = Ranking(indices, scores, gallery_size=size, query_ids=self.query_ids, gallery_ids=self.gallery_ids)
        return found if self.excluded is None else found.excluding(self.excluded).top(wanted)

    def reversed(self) -> Problem:
        """The other direction: gallery items look for queries."""
        return self._made(
            scores=self.scores.T,
            queries=self.gallery.reversed(),
            gallery=self.queries.reversed(),
            extra_scores=Named({name: scores.T for name, scores in self.extra_scores.items()}),
            excluded=None if self.excluded is None else self.excluded.reversed(),
        )

    def subset(self, queries: Any = None, gallery: Any = None) -> Problem:
        """The problem among some queries and some items, in the given order; banks stay whole."""
        query = None if queries is None else _some(queries, self.shape[0], "queries")
        item = None if gallery is None else _some(gallery, self.shape[1], "gallery")
        scores = self.scores.take(query, item)
        sides = [
            replace(side.take(rows), bank=None if side.bank is None else side.bank.take(query, item))
            for side, rows in ((self.queries, query), (self.gallery, item))
        ]
        excluded = None if self.excluded is None else self.excluded.take(query, item)
        extra = Named({name: scores.take(query, item) for name, scores in self.extra_scores.items()})
        return self._made(scores=scores, **_related(scores, sides[0], sides[1]), extra_scores=extra, excluded=excluded)

    def with_features(
        self, *, query_features: Mapping[str, Any] | None = None, gallery_features: Mapping[str, Any] | None = None
    ) -> Problem:
        """The same problem with more features.

        >>> Problem([[0.1, 0.9]]).with_features(gallery_features={"text": ["a cat", "a dog"]})
        Problem(1 queries × 2 items, with text (gallery))
        """
        query = self.queries.features | features_of(query_features, self.shape[0], "query_features")
        gallery = self.gallery.features | features_of(gallery_features, self.shape[1], "gallery_features")
        return self._with(
            queries=replace(self.queries, features=query), gallery=replace(self.gallery, features=gallery)
        )

    def with_extra_scores(self, extra_scores: Mapping[str, Any]) -> Problem:
        """The same problem with more scores between its sides."""
        return self._with(extra_scores=self.extra_scores | _extra(extra_scores, self.shape))

    def with_ids(self, query_ids: Any = None, gallery_ids: Any = None) -> Problem:
        """The same problem with ids for the sides for which they are given.

        >>> Problem([[0.1, 0.9]]).with_ids(gallery_ids=["cat", "dog"]).ranking(1).to_dict()
        {0: {'dog': 0.9}}
        """
        queries = self.queries if query_ids is None else _with_ids(self.queries, query_ids, "query_ids")
        gallery = self.gallery if gallery_ids is None else _with_ids(self.gallery, gallery_ids, "gallery_ids")
        return self._with(queries=queries, gallery=gallery)

    def excluding(self, exclude: Any) -> Problem:
        """The same problem with more items left out of a query's gallery.

        >>> Problem([[0.9, 0.8, 0.1]]).excluding([[0]]).ranking(2).indices
        array([[1, 2]])
        """
        pairs = as_pairs(exclude, self.shape, "exclude")
        if pairs is None or pairs is self.excluded:
            return self
        return self._with(excluded=pairs if self.excluded is None else self.excluded | pairs)

    def with_banks(self, *, query_bank: Bank | None = None, gallery_bank: Bank | None = None) -> Problem:
        """The same problem with other items of the query's, the gallery's kind."""
        query = _fitting(query_bank, "query_bank", self.shape) or self.query_bank
        gallery = _fitting(gallery_bank, "gallery_bank", self.shape) or self.gallery_bank
        return self._with(queries=replace(self.queries, bank=query), gallery=replace(self.gallery, bank=gallery))

    def _with(self, **changes: Any) -> Problem:
        """The same problem with parts that have been checked in the place of others."""
        return self._made(**{**self.__dict__, **changes})

    def __repr__(self) -> str:
        sides: dict[SideName, Side] = {"query": self.queries, "gallery": self.gallery}
        given = [f"{name}_scores" for name, side in sides.items() if side.scores is not None and not side.computed]
        given += [f"{name}_bank" for name, side in sides.items() if side.bank is not None]
        given += [f"{name} (extra scores)" for name in self.extra_scores]
        given += [f"{feature} ({name})" for name, side in sides.items() for feature in side.features]
        given += [] if self.excluded is None else [f"{len(self.excluded)} pairs left out"]
        form = "" if isinstance(self.scores, DenseScores) else f", {type(self.scores).__name__}"
        extra = f", with {', '.join(given)}" if given else ""
        return f"Problem({self.shape[0]} queries × {self.shape[1]} items{form}{extra})"


def as_problem(value: Any) -> Problem:
    """`value` when it is a problem already, a problem with these scores otherwise."""
    if isinstance(value, Ranking):
        raise rule("problem", "must be scores: a ranking goes to Pipeline([…]).rerank(problem, ranking)", "a Ranking")
    return value if isinstance(value, Problem) else Problem(value)


def _side(
    name: SideName, shape: tuple[int, int], scores: Any, ids: Any, features: Mapping[str, Any] | None, bank: Any
) -> Side:
    """One side of what a problem was made from, checked."""
    size = shape[SIDES.index(name)]
    return Side(
        size,
        as_ids(ids, size, f"{name}_ids"),
        _square(scores, size, f"{name}_scores"),
        features=features_of(features, size, f"{name}_features"),
        bank=_fitting(bank, f"{name}_bank", shape),
    )


def _related(scores: Scores, queries: Side, gallery: Side) -> dict[str, Side]:
    """Both sides, with relations from the embeddings of the scores where none were given."""
    if isinstance(scores, EmbeddingScores):
        if queries.scores is None:
            queries = replace(queries, scores=scores.among_rows(), computed=True)
        if gallery.scores is None:
            gallery = replace(gallery, scores=scores.among_columns(), computed=True)
    return {"queries": queries, "gallery": gallery}


def _with_ids(side: Side, ids: Any, argument: str) -> Side:
    return replace(side, ids=as_ids(ids, side.size, argument))


def _some(rows: Any, count: int, argument: str) -> IntArray:
    chosen = row_numbers(rows, count, argument)
    if not len(chosen):
        raise rule(argument, "must name at least one of the problem's", "none")
    return chosen


def _square(scores: Any, size: int, argument: str) -> Scores | None:
    if scores is None:
        return None
    given = as_scores(scores, argument)
    if given.shape != (size, size):
        raise rule(argument, f"must have shape {(size, size)} to agree with 'scores'", f"shape {given.shape}")
    return given


def _extra(given: Any, shape: tuple[int, int]) -> Named[Scores]:
    """Further scores by name, each of the shape of the scores."""
    if given is None:
        return Named()
    if not isinstance(given, Mapping):
        raise rule("extra_scores", "must map names to scores", type(given).__name__)
    found = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name or "/" in name or name in _OWN:
            raise rule("extra_scores", f"must have names without '/', other than {' and '.join(_OWN)}", repr(name))
        scores = as_scores(value, f"extra_scores[{name!r}]")
        if scores.shape != shape:
            raise rule(f"extra_scores[{name!r}]", f"must have the shape of 'scores', {shape}", f"shape {scores.shape}")
        found[name] = scores
    return Named(found)


def _fitting(bank: Bank | None, argument: str, shape: tuple[int, int]) -> Bank | None:
    if bank is None:
        return None
    if not isinstance(bank, Bank):
        raise rule(argument, "must be a rerankit.Bank, such as Bank(to_gallery=…)", type(bank).__name__)
    bank.check(argument, shape)
    return bank


def _negated(distances: Any, argument: str) -> DenseScores:
    matrix = real_matrix(distances, argument)
    if is_memory_map(matrix):
        return DenseScores(matrix, argument, negate=True)
    check_all_finite(matrix, argument)
    return DenseScores(np.negative(matrix), argument)
