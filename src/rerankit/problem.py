"""Problem: what a backbone hands over, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import IntArray, check_all_finite, is_memory_map, real_matrix, row_numbers
from rerankit.bank import Bank
from rerankit.errors import InputError, rule, unknown_name
from rerankit.ids import Ids, as_ids
from rerankit.pairs import Pairs, as_pairs
from rerankit.ranking import Ranking
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Metric, Scores, as_scores
from rerankit.sides import SIDES, Side, SideName
from rerankit.values import Named, Value


@dataclass(frozen=True)
class Feature:
    """A named input beside the scores, one entry for each item of one side (`len(values)` agrees with it)."""

    values: Any
    side: SideName

    def __post_init__(self) -> None:
        if self.side not in SIDES:
            raise unknown_name("side", str(self.side), SIDES)


class Problem(Value):
    """Scores of queries against a gallery (higher is better, rows are queries), and what is known of both sides.

    `query_scores` (queries, queries) and `gallery_scores` (gallery, gallery) compare items of one side;
    `features` maps names to per-item inputs (a plain value belongs to the side whose length it has, `Feature`
    says it outright); `query_bank` and `gallery_bank` are other items of a side's kind, not under test; `exclude` says
    which items are left out of a query's gallery (a list of items per query, or the `excluded` of a `Relevance`): they
    are no candidates and cost no pair.
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
        features: Mapping[str, Any] | None = None,
        query_bank: Bank | None = None,
        gallery_bank: Bank | None = None,
        exclude: Any = None,
    ) -> None:
        between = as_scores(scores)
        shape = between.shape
        sided = _features_of(features, shape)
        sides = (
            _side("query", shape, query_scores, query_ids, sided, query_bank),
            _side("gallery", shape, gallery_scores, gallery_ids, sided, gallery_bank),
        )
        self._keep(scores=between, **_related(between, *sides), excluded=as_pairs(exclude, shape, "exclude"))

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
    def features(self) -> Mapping[str, Any]:
        """Feature values by name."""
        return self.queries.features | self.gallery.features

    @property
    def feature_sides(self) -> Mapping[str, SideName]:
        """The side, "query" or "gallery", each feature belongs to."""
        own: dict[str, SideName] = dict.fromkeys(self.queries.features, "query")
        return Named({**own, **dict.fromkeys(self.gallery.features, "gallery")})

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
        return self._made(scores=scores, **_related(scores, sides[0], sides[1]), excluded=excluded)

    def with_features(self, **features: Any) -> Problem:
        """The same problem with more features."""
        more = _features_of(features, self.shape)
        sides = [
            replace(
                side,
                features=Named({k: v for k, v in side.features.items() if k not in more})
                | {k: feature.values for k, feature in more.items() if feature.side == name},
            )
            for name, side in (("query", self.queries), ("gallery", self.gallery))
        ]
        return self._with(queries=sides[0], gallery=sides[1])

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
    name: SideName, shape: tuple[int, int], scores: Any, ids: Any, features: Mapping[str, Feature], bank: Any
) -> Side:
    """One side of what a problem was made from, checked."""
    size = shape[SIDES.index(name)]
    return Side(
        size,
        as_ids(ids, size, f"{name}_ids"),
        _square(scores, size, f"{name}_scores"),
        features=Named({key: feature.values for key, feature in features.items() if feature.side == name}),
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


def _features_of(features: Any, shape: tuple[int, int]) -> dict[str, Feature]:
    if features is not None and not isinstance(features, Mapping):
        raise rule("features", "must map names to values", type(features).__name__)
    return {name: _sided(name, value, shape) for name, value in (features or {}).items()}


def _sided(name: str, value: Any, shape: tuple[int, int]) -> Feature:
    given = value.values if isinstance(value, Feature) else value
    if not hasattr(given, "__len__"):
        raise rule(f"features[{name!r}]", "must have one entry per item", type(given).__name__)
    feature = value if isinstance(value, Feature) else Feature(value, _side_by_length(name, value, shape))
    size = shape[SIDES.index(feature.side)]
    if len(feature.values) != size:
        raise rule(
            f"features[{name!r}]",
            f"must have one entry for each of the {size} {feature.side} items",
            f"{len(feature.values)} entries",
        )
    return feature


def _side_by_length(name: str, value: Any, shape: tuple[int, int]) -> SideName:
    if shape[0] == shape[1]:
        raise InputError(
            f"'features[{name!r}]' fits both sides, which have {shape[0]} items each: "
            "give rerankit.Feature(values, side='query') or side='gallery'"
        )
    return "query" if len(value) == shape[0] else "gallery"


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
