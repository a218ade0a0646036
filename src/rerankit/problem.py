"""Problem: what a backbone hands over, checked once at the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from rerankit import checks
from rerankit.arrays import (
    AnyArray,
    IntArray,
    check_all_finite,
    identifiers,
    is_memory_map,
    real_matrix,
    row_numbers,
)
from rerankit.bank import Bank
from rerankit.errors import InputError, rule, unknown_name
from rerankit.ranking import Ranking
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Metric, Scores, as_scores

Side = Literal["query", "gallery"]


@dataclass(frozen=True)
class Feature:
    """A named input beside the scores, one entry for each item of one side (`len(values)` agrees with it)."""

    values: Any
    side: Side

    def __post_init__(self) -> None:
        if self.side not in ("query", "gallery"):
            raise unknown_name("side", str(self.side), ("query", "gallery"))


class Problem:
    """Scores of queries against a gallery (higher is better, rows are queries), and what goes with them.

    `query_scores` (queries, queries) and `gallery_scores` (gallery, gallery) compare items of one side;
    `features` maps names to per-item inputs (a plain value belongs to the side whose length it has, `Feature`
    says it outright); `query_bank` and `gallery_bank` are other items of a side's kind, not under test.
    Nothing given is modified, and nothing is copied that need not be.

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
        features: Mapping[str, Any] | None = None,
        query_bank: Bank | None = None,
        gallery_bank: Bank | None = None,
    ) -> None:
        self.scores: Scores = as_scores(scores)
        queries, items = self.shape
        self._query_scores = _square(query_scores, queries, "query_scores")
        self._gallery_scores = _square(gallery_scores, items, "gallery_scores")
        self.query_ids: AnyArray | None = identifiers(query_ids, queries, "query_ids")
        self.gallery_ids: AnyArray | None = identifiers(gallery_ids, items, "gallery_ids")
        self._features = _features_of(features, self.shape)
        self.query_bank: Bank | None = _fitting(query_bank, "query_bank", self.shape)
        self.gallery_bank: Bank | None = _fitting(gallery_bank, "gallery_bank", self.shape)

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
        return self.scores.shape

    @property
    def query_scores(self) -> Scores | None:
        """Similarities among the queries (queries, queries), or None; computed when embeddings are known."""
        if self._query_scores is None and isinstance(self.scores, EmbeddingScores):
            return EmbeddingScores(self.scores.queries, self.scores.queries, self.scores.metric)
        return self._query_scores

    @property
    def gallery_scores(self) -> Scores | None:
        """Similarities among the gallery items (gallery, gallery), or None."""
        if self._gallery_scores is None and isinstance(self.scores, EmbeddingScores):
            return EmbeddingScores(self.scores.gallery, self.scores.gallery, self.scores.metric)
        return self._gallery_scores

    @property
    def embeddings(self) -> EmbeddingScores | None:
        """The scores as embeddings when all relations come from them alone; None when any matrix was given."""
        given = self._query_scores is not None or self._gallery_scores is not None
        return None if given or not isinstance(self.scores, EmbeddingScores) else self.scores

    @property
    def features(self) -> Mapping[str, Any]:
        """Feature values by name."""
        return MappingProxyType({name: feature.values for name, feature in self._features.items()})

    @property
    def feature_sides(self) -> Mapping[str, Side]:
        """The side, "query" or "gallery", each feature belongs to."""
        return MappingProxyType({name: feature.side for name, feature in self._features.items()})

    def ranking(self, k: int | None = None) -> Ranking:
        """The first k items of every query (all of them by default) by these scores."""
        if k is not None:
            k = checks.integer("k", k, least=1)
        indices, scores = self.scores.topk(self.shape[1] if k is None else min(k, self.shape[1]))
        return Ranking(
            indices,
            scores,
            gallery_size=self.shape[1],
            query_ids=self.query_ids,
            gallery_ids=self.gallery_ids,
        )

    def reversed(self) -> Problem:
        """The other direction: gallery items look for queries."""
        swapped: dict[Side, Side] = {"query": "gallery", "gallery": "query"}
        return Problem(
            self.scores.T,
            query_scores=self._gallery_scores,
            gallery_scores=self._query_scores,
            query_ids=self.gallery_ids,
            gallery_ids=self.query_ids,
            features={name: Feature(f.values, swapped[f.side]) for name, f in self._features.items()},
            query_bank=None if self.gallery_bank is None else self.gallery_bank.reversed(),
            gallery_bank=None if self.query_bank is None else self.query_bank.reversed(),
        )

    def subset(self, queries: Any = None, gallery: Any = None) -> Problem:
        """The problem among some queries and some items, in the given order; banks stay whole."""
        query = None if queries is None else _some(queries, self.shape[0], "queries")
        item = None if gallery is None else _some(gallery, self.shape[1], "gallery")
        rows: dict[Side, IntArray | None] = {"query": query, "gallery": item}
        return Problem(
            self.scores.take(query, item),
            query_scores=None if self._query_scores is None else self._query_scores.take(query, query),
            gallery_scores=None if self._gallery_scores is None else self._gallery_scores.take(item, item),
            query_ids=_taken(self.query_ids, query),
            gallery_ids=_taken(self.gallery_ids, item),
            features={name: Feature(_taken(f.values, rows[f.side]), f.side) for name, f in self._features.items()},
            query_bank=None if self.query_bank is None else self.query_bank.take(query, item),
            gallery_bank=None if self.gallery_bank is None else self.gallery_bank.take(query, item),
        )

    def with_features(self, **features: Any) -> Problem:
        """The same problem with more features."""
        return self._with(features={**self._features, **features})

    def with_ids(self, query_ids: Any = None, gallery_ids: Any = None) -> Problem:
        """The same problem with ids for the sides for which they are given.

        >>> Problem([[0.1, 0.9]]).with_ids(gallery_ids=["cat", "dog"]).ranking(1).to_dict()
        {0: {'dog': 0.9}}
        """
        given = {"query_ids": query_ids, "gallery_ids": gallery_ids}
        return self._with(**{name: ids for name, ids in given.items() if ids is not None})

    def with_banks(self, *, query_bank: Bank | None = None, gallery_bank: Bank | None = None) -> Problem:
        """The same problem with other items of the query's, the gallery's kind."""
        return self._with(query_bank=query_bank or self.query_bank, gallery_bank=gallery_bank or self.gallery_bank)

    def _with(self, **changes: Any) -> Problem:
        parts: dict[str, Any] = {
            "query_scores": self._query_scores,
            "gallery_scores": self._gallery_scores,
            "query_ids": self.query_ids,
            "gallery_ids": self.gallery_ids,
            "features": self._features,
            "query_bank": self.query_bank,
            "gallery_bank": self.gallery_bank,
        }
        return Problem(self.scores, **{**parts, **changes})

    def __repr__(self) -> str:
        given = ["query_scores"] * (self._query_scores is not None)
        given += ["gallery_scores"] * (self._gallery_scores is not None)
        given += [f"{side}_bank" for side in ("query", "gallery") if getattr(self, f"{side}_bank") is not None]
        given += [f"{name} ({feature.side})" for name, feature in self._features.items()]
        form = "" if isinstance(self.scores, DenseScores) else f", {type(self.scores).__name__}"
        extra = f", with {', '.join(given)}" if given else ""
        return f"Problem({self.shape[0]} queries × {self.shape[1]} items{form}{extra})"


def as_problem(value: Any) -> Problem:
    """`value` when it is a problem already, a problem with these scores otherwise."""
    if isinstance(value, Ranking):
        raise rule("problem", "must be scores: a ranking goes to Pipeline([…]).rerank(problem, ranking)", "a Ranking")
    return value if isinstance(value, Problem) else Problem(value)


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
    size = shape[0] if feature.side == "query" else shape[1]
    if len(feature.values) != size:
        raise rule(
            f"features[{name!r}]",
            f"must have one entry for each of the {size} {feature.side} items",
            f"{len(feature.values)} entries",
        )
    return feature


def _side_by_length(name: str, value: Any, shape: tuple[int, int]) -> Side:
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


def _taken(values: Any, rows: IntArray | None) -> Any:
    if rows is None or values is None:
        return values
    return values[rows] if hasattr(values, "shape") else [values[row] for row in rows.tolist()]
