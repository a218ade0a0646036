"""Problem: what a backbone hands over, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rerankit import checks
from rerankit.arrays import IntArray, row_numbers
from rerankit.bank import Bank
from rerankit.centring import ProblemVectors, centred
from rerankit.errors import rule
from rerankit.features import features_of
from rerankit.ids import as_ids
from rerankit.item_lists import left_out, left_out_filled
from rerankit.labelled import extra_scores_of, labelled, labelled_vectors
from rerankit.lines import runs_of
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, Searching, VectorMetric
from rerankit.scores.distances import ListMetric, listed, negated
from rerankit.scores.nearest import nearest
from rerankit.sides import Side, fitting, related, side_of
from rerankit.triples import natural
from rerankit.two_sides import TwoSides
from rerankit.values import Named


class Problem(TwoSides):
    """Scores of queries against a gallery (higher is better, rows are queries), and what is known of both sides.

    `scores` is a matrix (an array, a tensor, a data frame whose labels are ids, an array on disk), a sparse matrix,
    whose zeros are absent, or a run in any form: a table or a dictionary of lines, a `Ranking` (docs/inputs.md).
    `query_scores` (queries, queries) and `gallery_scores` (gallery, gallery) compare items of one side;
    `extra_scores` maps names to further scores between the same sides, of another backbone, say; `query_features` and
    `gallery_features` map names to inputs with one entry per item (`rerankit.features`); `query_bank` and
    `gallery_bank` are other items of a side's kind, not under test; `exclude` says which items are left out of a
    query's gallery (a list that has a list of items for each query, by id or by row as candidates are named; a tuple of
    two arrays, the rows and the columns of the pairs; a mask of booleans; or the `excluded` of a `Relevance`): they are
    no candidates and cost no pair, and their cells may hold NaN, in memory and on disk.
    Nothing given is modified, and nothing is copied that need not be. A problem is a value: `queries` and `gallery`,
    its two sides, are shared with the problems made from it.

    >>> problem = Problem([[0.1, 0.9], [0.8, 0.3]], query_ids=["cat", "dog"])
    >>> problem
    Problem(2 queries × 2 items)
    >>> problem.ranking(1).to_dict()
    {'cat': {1: 0.9}, 'dog': {0: 0.8}}
    """

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
        given = labelled(left_out_filled(scores, exclude, gallery_ids), query_ids, gallery_ids)
        between, shape = given.scores, given.scores.shape
        sides = (
            side_of("query", shape, query_scores, given.query_ids, query_features, query_bank),
            side_of("gallery", shape, gallery_scores, given.gallery_ids, gallery_features, gallery_bank),
        )
        self._keep(
            scores=between,
            **related(between, *sides),
            extra_scores=extra_scores_of(extra_scores, shape, sides[0].ids, sides[1].ids),
            excluded=left_out(given.excluded if exclude is None else exclude, shape, sides[1].ids),
        )

    @classmethod
    def from_embeddings(
        cls,
        queries: Any,
        gallery: Any,
        metric: VectorMetric = "cosine",
        *,
        query_bank: Any = None,
        gallery_bank: Any = None,
        centre: Any = None,
        **rest: Any,
    ) -> Problem:
        """From vectors (queries, d) and (gallery, d); all similarities are computed in blocks when asked.

        The banks are vectors of other items, (bank, d). Labels of a data frame's rows are ids. `centre` is taken from
        the vectors first: two mean vectors, of the queries' kind and of the gallery's, or ``"bank"`` for the mean of
        `query_bank` and of the gallery. It is for encoders whose two sides lie apart, and seldom gains.

        >>> Problem.from_embeddings([[1.0, 0.0]], [[0.0, 1.0], [1.0, 1.0]]).gallery_scores.rows().round(2)
        array([[1.  , 0.71],
               [0.71, 1.  ]], dtype=float32)
        """
        queries, rest["query_ids"] = labelled_vectors(queries, rest.get("query_ids"), "queries")
        gallery, rest["gallery_ids"] = labelled_vectors(gallery, rest.get("gallery_ids"), "gallery")
        if centre is not None:
            vectors = ProblemVectors(queries, gallery, query_bank, gallery_bank)
            queries, gallery, query_bank, gallery_bank = centred(vectors, centre)
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
        left = rest.get("exclude"), rest.get("gallery_ids")
        return cls(
            negated(left_out_filled(distances, *left, distances=True), "distances"),
            query_scores=None if query_distances is None else negated(query_distances, "query_distances"),
            gallery_scores=(None if gallery_distances is None else negated(gallery_distances, "gallery_distances")),
            **rest,
        )

    @classmethod
    def from_rankings(
        cls, indices: Any, scores: Any, gallery_size: int, *, metric: ListMetric | None = None, **rest: Any
    ) -> Problem:
        """From top-k lists (queries, k), best first and padded with −1, as a vector database returns them.

        With a metric by which lower is better (l2, euclidean, manhattan, hamming, distance) the scores are minus the
        numbers given; with cosine or dot, similarities, they may come in any order. Without one, rows that rise are
        refused. What a database calls cosine distance is a distance.

        >>> Problem.from_rankings([[5, 2]], [[0.9, 0.4]], gallery_size=10).ranking(2).indices
        array([[5, 2]])
        >>> Problem.from_rankings([[5, 2]], [[0.4, 0.9]], gallery_size=10, metric="l2").ranking(2).scores
        array([[-0.4, -0.9]], dtype=float32)
        """
        return cls(listed(indices, scores, gallery_size, metric), **rest)

    @classmethod
    def from_runs(cls, runs: Mapping[str, Any], **rest: Any) -> Problem:
        """From runs by name in any form: the first are the scores, the others `extra_scores`.

        Queries are those of all runs, and the gallery has every item that one of them lists. Candidates come from the
        first; `rerankit.fuse` of the runs has those of all.

        >>> Problem.from_runs({"words": {"q": {"a": 3, "b": 1}}, "pictures": {"q": {"b": 0.9}}})
        Problem(1 queries × 2 items, ListScores, with pictures (extra scores))
        """
        lines = runs_of(runs)
        queries, items = rest.pop("query_ids", None), rest.pop("gallery_ids", None)
        if queries is None:
            queries = list(dict.fromkeys(query for each in lines.values() for query in each.names))
        if items is None:
            items = natural(item for each in lines.values() for item in each.items)
        found = {name: labelled(each, queries, items, f"runs[{name!r}]").scores for name, each in lines.items()}
        first, more = found.pop(next(iter(found))), rest.pop("extra_scores", None)
        return cls(first, query_ids=queries, gallery_ids=items, extra_scores={**found, **(more or {})}, **rest)

    def ranking(self, k: int | None = None) -> Ranking:
        """The first k items of every query (all of them by default) by these scores, without those left out."""
        size = self.shape[1]
        wanted = size if k is None else min(checks.integer("k", k, least=1), size)
        indices, scores = nearest(self.scores, self._searched(wanted))
        found = Ranking(indices, scores, gallery_size=size, query_ids=self.query_ids, gallery_ids=self.gallery_ids)
        return found if self.excluded is None else found.excluding(self.excluded).top(wanted)

    def _searched(self, wanted: int) -> int:
        """So many that every query has as many candidates as are wanted when those left out are gone."""
        more = 0 if self.excluded is None else int(self.excluded.counts.max(initial=0))
        return min(wanted + more, self.shape[1])

    def searching(self, k: int | None = None) -> Problem:
        """The same problem; the first work that goes over all pairs of its vectors finds what `ranking(k)` asks for."""
        if k is None or not isinstance(self.scores, EmbeddingScores):
            return self
        return self._with(scores=Searching(self.scores, self._searched(checks.integer("k", k, least=1))))

    def reversed(self) -> Problem:
        """The other direction: gallery items look for queries."""
        return self.from_checked(
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
        return self.from_checked(
            scores=scores, **related(scores, sides[0], sides[1]), extra_scores=extra, excluded=excluded
        )

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
        more = extra_scores_of(extra_scores, self.shape, self.query_ids, self.gallery_ids)
        return self._with(extra_scores=self.extra_scores | more)

    def with_ids(self, query_ids: Any = None, gallery_ids: Any = None) -> Problem:
        """The same problem with ids for the sides for which they are given.

        >>> Problem([[0.1, 0.9]]).with_ids(gallery_ids=["cat", "dog"]).ranking(1).to_dict()
        {0: {'dog': 0.9}}
        """
        queries = self.queries if query_ids is None else _with_ids(self.queries, query_ids, "query_ids")
        gallery = self.gallery if gallery_ids is None else _with_ids(self.gallery, gallery_ids, "gallery_ids")
        return self._with(queries=queries, gallery=gallery)

    def excluding(self, exclude: Any) -> Problem:
        """The same problem with more items left out of a query's gallery, in any form of `exclude`.

        >>> Problem([[0.9, 0.8, 0.1]]).excluding([[0]]).ranking(2).indices
        array([[1, 2]])
        """
        pairs = left_out(exclude, self.shape, self.gallery_ids)
        if pairs is None or pairs is self.excluded:
            return self
        return self._with(excluded=pairs if self.excluded is None else self.excluded | pairs)

    def with_similarities(self, scores: Any, *, query_scores: Any, gallery_scores: Any) -> Problem:
        """The same items under other similarities; ids, features, banks and what is left out stay."""
        made = Problem(scores, query_scores=query_scores, gallery_scores=gallery_scores)
        if made.shape != self.shape:
            raise rule("scores", f"must be of the problem's shape {self.shape}", made.shape)
        return self._with(
            scores=made.scores,
            queries=replace(self.queries, scores=made.query_scores, computed=False),
            gallery=replace(self.gallery, scores=made.gallery_scores, computed=False),
        )

    def with_banks(self, *, query_bank: Bank | None = None, gallery_bank: Bank | None = None) -> Problem:
        """The same problem with other items of the query's, the gallery's kind."""
        query = fitting(query_bank, "query_bank", self.shape) or self.query_bank
        gallery = fitting(gallery_bank, "gallery_bank", self.shape) or self.gallery_bank
        return self._with(queries=replace(self.queries, bank=query), gallery=replace(self.gallery, bank=gallery))

    def _with(self, **changes: Any) -> Problem:
        """The same problem with parts that have been checked in the place of others."""
        return self.from_checked(**{**self.__dict__, **changes})


def as_problem(value: Any) -> Problem:
    """`value` when it is a problem already, a problem with these scores otherwise."""
    if isinstance(value, Ranking):
        raise rule("problem", "must be scores: a ranking goes to Pipeline([…]).rerank(problem, ranking)", "a Ranking")
    return value if isinstance(value, Problem) else Problem(value)


def _with_ids(side: Side, ids: Any, argument: str) -> Side:
    return replace(side, ids=as_ids(ids, side.size, argument))


def _some(rows: Any, count: int, argument: str) -> IntArray:
    chosen = row_numbers(rows, count, argument)
    if not len(chosen):
        raise rule(argument, "must name at least one of the problem's", "none")
    return chosen
