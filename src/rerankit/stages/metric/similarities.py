"""Labelled pairs of which similarities alone are known: vectors for them, and for what is compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.problem import Problem
from rerankit.relevance import Relevance
from rerankit.scores import Scores
from rerankit.scores.summed import summed
from rerankit.sides import SideName
from rerankit.stages.metric.mixture import Forms, Mixture
from rerankit.stages.metric.trust import Known, Split, spread_evenly
from rerankit.stages.metric.two_covariance import VectorPairs

_SIDES: tuple[SideName, SideName] = ("query", "gallery")
_LANDMARKS = 1000  # of each side
_KNOWN = 1e-5  # of the largest eigenvalue: smaller ones are rounding
_SCALES = 4.0  # times as far apart as in fit: another scale
_ALIKE = 1e-2  # of the spread of a bank's similarities


@dataclass(frozen=True)
class Coordinates:
    """Vectors whose products are similarities as far as landmarks show them (the method of Nyström).

    An item is given by its similarities to the landmarks: so many queries first, and items. Those of a side less the
    mean of the taught ones of that side, so that what is added to all similarities of two sides plays no part.
    """

    means: AnyArray
    """(2, landmarks): of the taught queries and of the taught items."""
    projection: AnyArray
    """(landmarks, r)."""
    queries: int
    """Landmarks that are queries."""

    @classmethod
    def of(cls, among: AnyArray, queries: int) -> Coordinates:
        """Those of landmarks with similarities `among` them (landmarks, landmarks), of which the first are queries."""
        means = np.stack([among[:queries].mean(axis=0), among[queries:].mean(axis=0)])
        centred = np.concatenate(
            [_centred(among[:queries] - means[0], queries), _centred(among[queries:] - means[1], queries)]
        )
        sizes, axes = np.linalg.eigh((centred + centred.T) / 2)
        known = sizes > _KNOWN * sizes.max(initial=0)
        if not known.any():
            raise InputError("'problem' must have similarities that differ to learn from")
        return cls(means, axes[:, known] / np.sqrt(sizes[known]), queries)

    def vectors(self, similarities: AnyArray, side: SideName) -> AnyArray:
        """Vectors (n, r) of items of a side with similarities (n, landmarks)."""
        found: AnyArray = _centred(similarities - self.means[int(side == "gallery")], self.queries) @ self.projection
        return found


@dataclass(frozen=True)
class KnownSimilarities:
    """Pairs (`rows`, `columns`) of a problem of which similarities are known: across, and within its sides or not."""

    problem: Problem
    rows: IntArray
    columns: IntArray
    things: IntArray

    @classmethod
    def of(cls, problem: Problem, relevance: Relevance, things: IntArray) -> KnownSimilarities:
        """Those of a problem with a score for every pair; `things` (queries,) says which queries show the same."""
        if not problem.scores.complete:
            raise InputError("'problem' must have a score for every pair to learn from, not lists")
        return cls(problem, relevance.rows, relevance.indices, things[relevance.rows])

    def and_more(self, more: Known) -> KnownSimilarities:
        """These pairs and others: refused, since nothing tells how those are like these."""
        raise rule("validation", "must be None where similarities alone are known of the pairs", "another problem")

    def plain(self, some: IntArray) -> AnyArray:
        """The backbone's own scores between the queries and the items of some pairs."""
        return self.problem.scores.pairs(self.rows[some][:, None], self.columns[some][None]).astype(np.float64)

    def split(self, taught: IntArray, tested: IntArray) -> Split:
        landmarks = self._landmarks(taught)
        coordinates = self._coordinates(*landmarks)
        one, other = (self._pairs(pairs, landmarks, coordinates) for pairs in (taught, tested))
        return Split(one, other, self.plain(tested))

    def learned(self) -> tuple[VectorPairs, dict[str, AnyArray]]:
        """All pairs, and the weights by which others get their vectors."""
        every = np.arange(len(self.rows))
        landmarks = self._landmarks(every)
        coordinates = self._coordinates(*landmarks)
        queries, gallery = (np.arange(count) for count in self.problem.shape)
        weights = {
            "landmark_queries": landmarks[0],
            "landmark_items": landmarks[1],
            "means": coordinates.means,
            "projection": coordinates.projection,
            "spreads_across": self._spreads(landmarks),
            "within": np.array([self.problem.query_scores is not None, self.problem.gallery_scores is not None]),
            "query_vectors": coordinates.vectors(self._toward(queries, "query", landmarks), "query"),
            "gallery_vectors": coordinates.vectors(self._toward(gallery, "gallery", landmarks), "gallery"),
        }
        pairs = VectorPairs(weights["query_vectors"][self.rows], weights["gallery_vectors"][self.columns], self.things)
        return pairs, weights

    def _landmarks(self, pairs: IntArray) -> tuple[IntArray, IntArray]:
        """Queries and items of pairs, at most so many, spread evenly."""
        queries, items = (spread_evenly(np.unique(side[pairs]), _LANDMARKS) for side in (self.rows, self.columns))
        return queries, items

    def _spreads(self, landmarks: tuple[IntArray, IntArray]) -> AnyArray:
        """How far the landmarks' similarities to one item of the other side lie apart: of queries, of items."""
        across = self.problem.scores.take(*landmarks).rows()
        return np.array([across.std(axis=0).mean(), across.std(axis=1).mean()])

    def _coordinates(self, queries: IntArray, items: IntArray) -> Coordinates:
        landmarks = queries, items
        among = [self._toward(queries, "query", landmarks), self._toward(items, "gallery", landmarks)]
        return Coordinates.of(np.concatenate(among), len(queries))

    def _pairs(self, pairs: IntArray, landmarks: tuple[IntArray, IntArray], coordinates: Coordinates) -> VectorPairs:
        queries, items = self.rows[pairs], self.columns[pairs]
        return VectorPairs(
            coordinates.vectors(self._toward(queries, "query", landmarks), "query"),
            coordinates.vectors(self._toward(items, "gallery", landmarks), "gallery"),
            self.things[pairs],
        )

    def _toward(self, items: IntArray, side: SideName, landmarks: tuple[IntArray, IntArray]) -> AnyArray:
        """Similarities (items, landmarks) of some items of a side; what is not known counts as 0."""
        given = self.problem
        known = (given.query_scores, given.scores) if side == "query" else (given.scores.T, given.gallery_scores)
        return _to_landmarks(known, items, landmarks)


@dataclass(frozen=True)
class LearnedSimilarities:
    """A problem of which similarities are known, to the pairs that were learned from as well, under a mixture of the
    backbone's scores and the learned ones.
    """

    mixture: Mixture
    weights: Mapping[str, AnyArray]

    def transformed(self, problem: Problem) -> Problem:
        """The problem with the mixture in all relations that it knows."""
        banks = self._checked_banks(problem)
        queries, gallery = self._forms(problem, banks, "query"), self._forms(problem, banks, "gallery")
        found = problem.with_similarities(
            self._mixed(problem.scores, queries, gallery),
            query_scores=self._mixed(problem.query_scores, queries, queries),
            gallery_scores=self._mixed(problem.gallery_scores, gallery, gallery),
        )
        return found.with_banks(
            query_bank=self._bank(banks["query"], "query", queries, gallery),
            gallery_bank=self._bank(banks["gallery"], "gallery", queries, gallery),
        )

    def scores(self, problem: Problem) -> Scores:
        """The problem's scores under the mixture."""
        banks = self._checked_banks(problem)
        queries, gallery = self._forms(problem, banks, "query"), self._forms(problem, banks, "gallery")
        return self._mixed(problem.scores, queries, gallery)  # type: ignore[return-value]

    def _checked_banks(self, problem: Problem) -> dict[SideName, Bank]:
        """The banks of both sides, which must be the pairs, on the scale of what was learned from."""
        banks: dict[SideName, Bank] = {side: self._checked_bank(problem, side) for side in _SIDES}
        self._check_scale(banks["query"].to_gallery)
        return banks

    def _check_scale(self, across: Scores | None) -> None:
        """Refuse similarities of the query bank to the gallery on another scale than those that were learned from."""
        taught = self.mixture.taught_as("query")
        landmarks = self.weights["landmark_queries" if taught == "query" else "landmark_items"]
        wanted = float(self.weights["spreads_across"][int(taught == "gallery")])
        spread = 0.0 if across is None else float(across.take(landmarks, None).rows().std(axis=0).mean())
        if not wanted / _SCALES < spread < wanted * _SCALES:
            raise rule(
                "query_bank.to_gallery",
                f"must be on the scale of what stage 'metric' learned from: a spread near {wanted:.3g}",
                f"a spread of {spread:.3g}",
            )

    def _mixed(self, given: Scores | None, rows: Forms, columns: Forms) -> Scores | None:
        return None if given is None else summed(given, self.mixture.plain, rows.scores(columns))

    def _bank(self, bank: Bank, side: SideName, queries: Forms, gallery: Forms) -> Bank:
        forms = Forms.of(*self.mixture.parts(self.weights[f"{self.mixture.taught_as(side)}_vectors"], side))
        return Bank(
            to_gallery=self._mixed(bank.to_gallery, forms, gallery),
            to_queries=self._mixed(bank.to_queries, forms, queries),
            to_bank=self._mixed(bank.to_bank, forms, forms),
        )

    def _forms(self, problem: Problem, banks: Mapping[SideName, Bank], side: SideName) -> Forms:
        weights = self.weights
        landmarks = weights["landmark_queries"], weights["landmark_items"]
        coordinates = Coordinates(weights["means"], weights["projection"], len(landmarks[0]))
        taught, known = self.mixture.taught_as(side), []
        for of_bank in _SIDES:  # in fit
            bank = banks[self.mixture.taught_as(of_bank)]
            facing = bank.to_queries if side == "query" else bank.to_gallery
            use = of_bank != taught or weights["within"][int(taught == "gallery")]
            known.append(facing.T if use and facing is not None else None)
        similarities = _to_landmarks((known[0], known[1]), np.arange(problem.shape[int(side == "gallery")]), landmarks)
        return Forms.of(*self.mixture.parts(coordinates.vectors(similarities, taught), side))

    def _checked_bank(self, problem: Problem, side: SideName) -> Bank:
        """The bank of a problem's side, which must be the pairs' queries or items."""
        bank = problem.query_bank if side == "query" else problem.gallery_bank
        taught = self.mixture.taught_as(side)
        wanted = f"the {'queries' if taught == 'query' else 'items'} that stage 'metric' learned from, in their order"
        size = len(self.weights[f"{taught}_vectors"])
        if bank is None or bank.size != size:
            raise rule(f"{side}_bank", f"must be {wanted}: {size} items", "none" if bank is None else f"{bank.size}")
        queries = len(self.weights["landmark_queries"])
        row, landmarks, part = (
            (0, self.weights["landmark_queries"], slice(queries))
            if taught == "query"
            else (1, self.weights["landmark_items"], slice(queries, None))
        )
        if bank.to_bank is not None and self.weights["within"][row]:
            among, means = bank.to_bank.take(landmarks, landmarks).rows(), self.weights["means"][row, part]
            if not np.allclose(among.mean(axis=0), means, rtol=0, atol=_ALIKE * float(among.std())):
                raise rule(f"{side}_bank", f"must be {wanted}", "others, by their similarities")
        return bank


def needs_of(weights: Mapping[str, AnyArray], *, reverse: bool) -> tuple[str, ...]:
    """What a problem must bring to be compared with the pairs."""
    queries, items = weights["within"][::-1] if reverse else weights["within"]
    found = ["query_bank:to_gallery", "gallery_bank:to_queries"]
    found += ["query_bank:to_queries"] if queries else []
    return (*found, *(["gallery_bank:to_gallery"] if items else []))


def _to_landmarks(
    known: tuple[Scores | None, Scores | None], items: IntArray, landmarks: tuple[IntArray, IntArray]
) -> AnyArray:
    """Similarities (items, landmarks), of queries first; zeros where they are not known."""
    parts = [
        np.zeros((len(items), len(chosen))) if given is None else given.take(items, chosen).rows().astype(np.float64)
        for given, chosen in zip(known, landmarks, strict=True)
    ]
    return np.concatenate(parts, axis=1)


def _centred(similarities: AnyArray, queries: int) -> AnyArray:
    """Similarities to landmarks less their mean over the queries, over the items."""
    parts = [similarities[:, :queries], similarities[:, queries:]]
    return np.concatenate([part - part.mean(axis=1, keepdims=True) for part in parts], axis=1)
