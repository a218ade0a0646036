"""Labelled pairs of embeddings, and problems of embeddings under what was learned from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.problem import Problem
from rerankit.relevance import Relevance
from rerankit.scores import EmbeddingScores, normalised
from rerankit.scores.products import VectorMetric
from rerankit.sides import SideName
from rerankit.stages.metric.mixture import Forms, Mixture
from rerankit.stages.metric.trust import Known, Split
from rerankit.stages.metric.two_covariance import VectorPairs


@dataclass(frozen=True)
class KnownVectors:
    """Pairs whose vectors are known, and how the backbone compares them."""

    pairs: VectorPairs
    metric: VectorMetric

    @classmethod
    def of(cls, problem: Problem, relevance: Relevance, things: IntArray) -> KnownVectors:
        """Those of a problem of embeddings; `things` (queries,) says which queries show the same."""
        given = _embeddings(problem)
        queries, gallery = (taken(vectors, given.metric) for vectors in (given.queries, given.gallery))
        rows = relevance.rows
        return cls(VectorPairs(queries[rows], gallery[relevance.indices], things[rows]), given.metric)

    @property
    def things(self) -> IntArray:
        return self.pairs.things

    def and_more(self, more: Known) -> KnownVectors:
        """These pairs and others, which show other things."""
        if not isinstance(more, KnownVectors):
            raise rule("validation", "must have embeddings, as the problem has", "similarities")
        one, other = self.pairs, more.pairs
        if (more.metric, other.queries.shape[1]) != (self.metric, one.queries.shape[1]):
            raise rule(
                "validation", "must have the problem's metric and width", f"{more.metric}, {other.queries.shape[1]}"
            )
        things = np.where(other.things < 0, -1, other.things + one.things.max() + 1)
        queries, gallery = np.concatenate([one.queries, other.queries]), np.concatenate([one.gallery, other.gallery])
        return KnownVectors(VectorPairs(queries, gallery, np.concatenate([one.things, things])), self.metric)

    def split(self, taught: IntArray, tested: IntArray) -> Split:
        return Split(self.pairs.some(taught), self.pairs.some(tested), self.plain(tested))

    def plain(self, some: IntArray) -> AnyArray:
        """The backbone's own scores between the queries and the items of some pairs, half squared distances for
        euclidean ones.
        """
        pairs = self.pairs.some(some)
        products: AnyArray = pairs.queries @ pairs.gallery.T
        if self.metric != "euclidean":
            return products
        lengths = np.square(pairs.queries).sum(axis=1)[:, None] + np.square(pairs.gallery).sum(axis=1)
        found: AnyArray = products - lengths / 2
        return found

    def learned(self) -> tuple[VectorPairs, dict[str, AnyArray]]:
        """All pairs, and what a stage keeps of how they are compared."""
        return self.pairs, {"metric": np.frombuffer(self.metric.encode().ljust(16), np.uint8).copy()}


@dataclass(frozen=True)
class LearnedVectors:
    """A problem of embeddings under a mixture of the backbone's scores and the learned ones."""

    mixture: Mixture
    metric: VectorMetric

    def transformed(self, problem: Problem) -> Problem:
        """The problem with the mixture in all its relations."""
        queries, gallery = self._sides(problem)
        found = problem.with_similarities(
            queries.scores(gallery), query_scores=queries.scores(queries), gallery_scores=gallery.scores(gallery)
        )
        return found.with_banks(
            query_bank=self._bank(problem.query_bank, "query", queries, gallery),
            gallery_bank=self._bank(problem.gallery_bank, "gallery", gallery, queries),
        )

    def scores(self, problem: Problem) -> EmbeddingScores:
        """The problem's scores under the mixture."""
        queries, gallery = self._sides(problem)
        return queries.scores(gallery)

    def _sides(self, problem: Problem) -> tuple[Forms, Forms]:
        given = _embeddings(problem)
        width = len(self.mixture.model.query_mean)
        if given.metric != self.metric or given.queries.shape[1] != width:
            raise rule(
                "problem",
                f"must have {self.metric} embeddings of width {width}, as in fit",
                f"{given.metric}, {given!r}",
            )
        return self._forms(given.queries, "query"), self._forms(given.gallery, "gallery")

    def _forms(self, vectors: AnyArray, side: SideName) -> Forms:
        values, plain = taken(vectors, self.metric), self.mixture.plain
        shared, own = self.mixture.parts(values, side)
        if self.metric == "euclidean":
            own = own - plain * np.square(values).sum(axis=1) / 2
        return Forms.of(np.concatenate([np.sqrt(plain) * values, shared], axis=1), own)

    def _bank(self, bank: Bank | None, side: SideName, own: Forms, other: Forms) -> Bank | None:
        if bank is None:
            return None
        parts: list[Any] = [part for part in (bank.to_gallery, bank.to_queries) if part is not None]
        if not all(isinstance(part, EmbeddingScores) for part in parts):
            raise InputError(f"stage 'metric' needs banks of vectors: use Problem.from_embeddings(…, {side}_bank=…)")
        forms = self._forms(parts[0].queries, side)
        across, within = forms.scores(other), forms.scores(own)
        if side == "gallery":
            across, within = within, across
        return Bank(to_gallery=across, to_queries=within, to_bank=forms.scores(forms))


def taken(vectors: AnyArray, metric: VectorMetric) -> AnyArray:
    """Vectors as a metric takes them: of unit length for cosines."""
    found: AnyArray = (normalised(vectors) if metric == "cosine" else vectors).astype(np.float64)
    return found


def _embeddings(problem: Problem) -> EmbeddingScores:
    given = problem.scores
    if not isinstance(given, EmbeddingScores):
        raise rule("problem", "must have embeddings, as in fit: use Problem.from_embeddings(…)", repr(given))
    return given
