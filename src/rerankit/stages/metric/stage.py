"""metric: similarities learned from labelled pairs, in closed form; what comes after it sees them in all relations."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray
from rerankit.bank import Bank
from rerankit.errors import InputError, RerankitWarning, UnmetNeedError, rule
from rerankit.pipelines.needs import Need, Unmet
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.trainable import Learning, Trainable
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.scores import EmbeddingScores, normalised
from rerankit.scores.products import Metric as ScoreMetric
from rerankit.stages.candidates import own_scores
from rerankit.stages.metric.trust import Trust, scales, trust
from rerankit.stages.metric.two_covariance import Pairs, TwoCovariance, two_covariance
from rerankit.things import things_of

M = TypeVar("M", bound="Metric")

LEAST_PAIRS = 20
_FAR = 2.0  # times as far from the mean of its own side as from the other one's
_MODEL = ("query_mean", "gallery_mean", "axes", "products", "squares")


class Metric(Trainable):
    """Learn from labelled pairs which differences of vectors matter, and score by it.

    A pair's two vectors are their sides' means, something they share, and noise; both are normal, and their covariances
    follow from the pairs (the two-covariance model of speaker verification, a form of probabilistic discriminant
    analysis). The learned score is how much likelier two vectors are to share something than not. It is mixed with the
    backbone's own; how much of it, and how far the noise is taken to be alike in all directions, is chosen by splits
    inside the pairs, and where none is better than the backbone alone significantly, nothing changes: so it is with a
    few hundred pairs of 512 numbers. It loses where queries to come are of another kind than the labelled ones.

    `fit` takes a problem of embeddings and what is right in it: earlier queries and their items. Nothing of it depends
    on test queries. In a pipeline the stages behind it see a problem whose similarities, across, within the sides
    and to a bank, are the learned ones: ``fitted >> "sinkhorn"``. `shrink` and `share` can be given, too.

    >>> random = np.random.default_rng(0)
    >>> shared, scale = random.normal(size=(400, 8)), np.array([1, 1, 1, 1, 4, 4, 4, 4])
    >>> queries, gallery = (shared + scale * 0.3 * random.normal(size=(400, 8)) for _ in range(2))
    >>> problem = Problem.from_embeddings(queries, gallery)
    >>> right = Relevance.from_dense(np.eye(400))
    >>> first = np.arange(200)
    >>> fitted = Metric().fit(problem.subset(first, first), right.subset(first, first))
    >>> rest = problem.subset(first + 200, first + 200)
    >>> [round(float(np.mean(ranking.indices[:, 0] == first)), 2)
    ...  for ranking in (rest.ranking(1), fitted.rerank(rest, rest.ranking(50)))]
    [0.25, 0.41]
    """

    scaling = Scaling(shared="the learned metric", impossible="prepare: the stages behind it see other similarities")
    name = "metric"
    citation = "Brümmer & de Villiers, The speaker partitioning problem (Odyssey 2010): the two-covariance model"
    takes = ("validation",)

    def __init__(self, shrink: float | str = "auto", share: float | str = "auto", direction: str = "forward") -> None:
        self.shrink = _part("shrink", shrink)
        self.share = _part("share", share)
        self.direction = checks.choice("direction", direction, ("forward", "reverse"))
        self.trust: Trust | None = None
        """What the splits inside the pairs found, after `fit`."""

    @property
    def needs(self) -> tuple[str, ...]:
        return ("embeddings", "weights")

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Learn from a problem of embeddings and what is right in it; `validation` adds its pairs to the splits."""
        found, metric = _pairs(problem, relevance)
        if how.validation is not None:
            more, other = _pairs(*how.validation)
            if other != metric or more.queries.shape[1] != found.queries.shape[1]:
                raise rule(
                    "validation", "must have the problem's metric and width", f"{other}, {more.queries.shape[1]}"
                )
            things = np.concatenate([found.things, more.things + found.things.max() + 1])
            found = Pairs(
                np.concatenate([found.queries, more.queries]), np.concatenate([found.gallery, more.gallery]), things
            )
        chosen = trust(found, metric)
        shrink = chosen.shrink if isinstance(self.shrink, str) else self.shrink
        share = chosen.share if isinstance(self.share, str) else self.share
        model = two_covariance(found, shrink)
        plain, learned = scales(found, model, metric)
        self.trust = chosen
        self.set_weights(
            {name: np.asarray(getattr(model, name), np.float64) for name in _MODEL}
            | {"mixture": np.array([(1 - share) / plain, share / learned]), "trusted": np.array([shrink, share])}
            | {"metric": np.frombuffer(metric.encode().ljust(16), np.uint8).copy()}
        )

    def reversed(self: M) -> M:
        """The stage for the other direction, with the same weights."""
        return self.clone(direction="reverse" if self.direction == "forward" else "forward")

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        queries, gallery = self._both_forms(problem)
        return own_scores(queries.scores(gallery), ranking)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        shrink, share = self.learned["trusted"].tolist()
        found = super().reorder(problem, ranking) if share else ranking
        return found.with_notes(metric={"share": share, "shrink": shrink})

    def transformed(self, problem: Problem) -> Problem:
        """The problem with the learned similarities in all its relations; features, ids and what is left out stay."""
        queries, gallery = self._both_forms(problem)
        found = problem.with_similarities(
            queries.scores(gallery), query_scores=queries.scores(queries), gallery_scores=gallery.scores(gallery)
        )
        return found.with_banks(
            query_bank=self._bank(problem.query_bank, "query", queries, gallery),
            gallery_bank=self._bank(problem.gallery_bank, "gallery", gallery, queries),
        )

    def _both_forms(self, problem: Problem) -> tuple[_Forms, _Forms]:
        weights, given = self.learned, problem.scores
        if not isinstance(given, EmbeddingScores):
            raise UnmetNeedError(str(Unmet(self, Need.of("embeddings"))))
        metric, width = bytes(weights["metric"]).decode().strip(), len(weights["query_mean"])
        if given.metric != metric or given.queries.shape[1] != width:
            raise rule(
                "problem", f"must have {metric} embeddings of width {width}, as in fit", f"{given.metric}, {given!r}"
            )
        self._check_side(_taken(given.gallery, metric))
        return self._forms(given.queries, "query"), self._forms(given.gallery, "gallery")

    def _check_side(self, gallery: AnyArray) -> None:
        """Say so where the gallery is like what was learned from as queries."""
        means = self._weights["gallery_mean"], self._weights["query_mean"]
        own, other = means if self.direction == "forward" else means[::-1]
        centre = gallery.mean(axis=0)
        if len(gallery) >= LEAST_PAIRS and np.linalg.norm(centre - own) > _FAR * np.linalg.norm(centre - other):
            warnings.warn(
                f"stage '{self.name}' is for direction '{self.direction}', but the gallery is like the queries that it "
                "learned from: reversed() is the stage for the other side",
                RerankitWarning,
                stacklevel=4,
            )

    def passes_on(self, problem: Problem) -> Problem:
        return self.transformed(problem) if self.learned["trusted"][1] else problem

    def _bank(self, bank: Bank | None, side: str, own: _Forms, other: _Forms) -> Bank | None:
        if bank is None:
            return None
        parts = [part for part in (bank.to_gallery, bank.to_queries) if part is not None]
        if not all(isinstance(part, EmbeddingScores) for part in parts):
            raise InputError(
                f"stage '{self.name}' needs banks of vectors: use Problem.from_embeddings(…, {side}_bank=…)"
            )
        forms = self._forms(parts[0].queries, side)  # type: ignore[attr-defined]
        across, within = forms.scores(other), forms.scores(own)
        if side == "gallery":
            across, within = within, across
        return Bank(to_gallery=across, to_queries=within, among=forms.scores(forms))

    def _forms(self, vectors: AnyArray, side: str) -> _Forms:
        """Vectors of one side whose inner products, left with right, are the mixed scores."""
        weights = self.learned
        metric = bytes(weights["metric"]).decode().strip()
        plain, learned = weights["mixture"].tolist()
        taken = "gallery" if (side == "query") == (self.direction == "reverse") else "query"
        model = TwoCovariance(*(weights[name] for name in _MODEL))
        values = _taken(vectors, metric)
        shared, own = model.parts(values, weights[f"{taken}_mean"])
        own = learned * own - (plain * np.square(values).sum(axis=1) / 2 if metric == "euclidean" else 0.0)
        both = np.concatenate([np.sqrt(plain) * values, np.sqrt(learned) * shared], axis=1)
        ones, own = np.ones((len(values), 1)), own[:, None]
        return _Forms(
            np.concatenate([both, own, ones], axis=1).astype(np.float32),
            np.concatenate([both, ones, own], axis=1).astype(np.float32),
        )


class _Forms(NamedTuple):
    """One side's vectors as rows and as columns of a matrix of scores."""

    left: FloatArray
    right: FloatArray

    def scores(self, other: _Forms) -> EmbeddingScores:
        """These as rows, others as columns."""
        return EmbeddingScores(self.left, other.right, "dot")


def _pairs(problem: Problem, relevance: Relevance) -> tuple[Pairs, ScoreMetric]:
    given = problem.scores
    if not isinstance(given, EmbeddingScores):
        raise InputError("'problem' must have embeddings to learn from: use Problem.from_embeddings(…)")
    if relevance.shape != problem.shape:
        raise rule("relevance", f"must be of the problem's shape {problem.shape}", relevance.shape)
    if len(relevance.indices) < LEAST_PAIRS:
        raise rule("relevance", f"must hold {LEAST_PAIRS} pairs or more to learn from", len(relevance.indices))
    queries, gallery = (_taken(vectors, given.metric) for vectors in (given.queries, given.gallery))
    rows = relevance.rows
    return Pairs(queries[rows], gallery[relevance.indices], things_of(relevance).queries[rows]), given.metric


def _taken(vectors: AnyArray, metric: str) -> AnyArray:
    """Vectors as a metric takes them: of unit length for cosines."""
    taken: AnyArray = (normalised(vectors) if metric == "cosine" else vectors).astype(np.float64)
    return taken


def _part(argument: str, value: Any) -> float | str:
    return "auto" if isinstance(value, str) and value == "auto" else checks.number(argument, value, least=0, most=1)
