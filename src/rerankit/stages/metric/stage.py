"""metric: similarities learned from labelled pairs, in closed form; what comes after it sees them in all relations."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray
from rerankit.errors import RerankitWarning, UnmetNeedError, rule
from rerankit.pipelines.needs import Need, Unmet
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.trainable import Learning, Trainable
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.scores import EmbeddingScores
from rerankit.stages.candidates import own_scores
from rerankit.stages.metric.mixture import MODEL, Mixture
from rerankit.stages.metric.similarities import KnownSimilarities, LearnedSimilarities, needs_of
from rerankit.stages.metric.trust import Trust, deviation, spread_evenly, trust
from rerankit.stages.metric.two_covariance import two_covariance
from rerankit.stages.metric.vectors import KnownVectors, LearnedVectors, taken
from rerankit.things import parted_things

M = TypeVar("M", bound="MetricStage")

LEAST_PAIRS = 20
_FAR = 2.0  # times as far from the mean of its own side as from the other one's


class MetricStage(Trainable):
    """Learn from labelled pairs which differences of vectors matter, and score by it.

    A pair's two vectors are their sides' means, something they share, and noise; both are normal, and their covariances
    follow from the pairs (the two-covariance model of speaker verification, a form of probabilistic discriminant
    analysis). The learned score is how much likelier two vectors are to share something than not. It is mixed with the
    backbone's own; how much of it, and how far the noise is taken to be alike in all directions, is chosen by splits
    inside the pairs, for each direction of search, and where none is better than the backbone alone significantly,
    nothing changes: so it is with a few hundred pairs of 512 numbers. It loses where queries to come are of another
    kind than the labelled ones.

    `fit` takes a problem and what is right in it: earlier queries and their items. Where these are embeddings, so must
    be what is re-ranked. Where they are matrices, the vectors follow from the similarities to the pairs (the method of
    Nyström), and a problem brings those as its banks: the pairs' queries as `query_bank`, their items as
    `gallery_bank`, in the same order. Nothing depends on test queries. In a pipeline the stages behind it see a problem
    whose similarities, across, within the sides and to a bank, are the learned ones: ``fitted >> "sinkhorn"``. `shrink`
    and `share` can be given, too.

    >>> random = np.random.default_rng(0)
    >>> shared, scale = random.normal(size=(400, 8)), np.array([1, 1, 1, 1, 4, 4, 4, 4])
    >>> queries, gallery = (shared + scale * 0.3 * random.normal(size=(400, 8)) for _ in range(2))
    >>> problem = Problem.from_embeddings(queries, gallery)
    >>> right = Relevance.from_dense(np.eye(400))
    >>> first = np.arange(200)
    >>> fitted = MetricStage().fit(problem.subset(first, first), right.subset(first, first))
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
        if not self._weights:
            return ("weights",)
        known = "projection" in self._weights
        return (*(needs_of(self._weights, reverse=self._reverse) if known else ("embeddings",)), "weights")

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Learn from a problem and what is right in it; `validation` adds its pairs to the splits, of embeddings."""
        known = _known(problem, relevance)
        if how.validation is not None:
            known = known.and_more(_known(*how.validation))
        pairs, weights = known.learned()
        some = spread_evenly(np.arange(len(pairs.things)))
        plain = known.plain(some)
        self.trust = trust(known)
        shrink = self.trust.shrink if isinstance(self.shrink, str) else self.shrink
        chosen = self.trust.forward.share, self.trust.reverse.share
        shares = chosen if isinstance(self.share, str) else (self.share, self.share)
        model = two_covariance(pairs, shrink)
        learned = model.scores(pairs.queries[some], pairs.gallery[some])
        self.set_weights(
            {name: np.asarray(getattr(model, name), np.float64) for name in MODEL}
            | {"shares": np.array(shares), "shrink": np.array([shrink])}
            | {"spreads": np.array([deviation(plain), deviation(learned)])}
            | weights
        )

    def reversed(self: M) -> M:
        """The stage for the other direction, with the same weights."""
        return self.clone(direction="reverse" if self.direction == "forward" else "forward")

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return own_scores(self._over(problem).scores(problem), ranking)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        found = super().reorder(problem, ranking) if self._share else ranking
        return found.with_notes(metric={"share": self._share, "shrink": float(self.learned["shrink"][0])})

    def transformed(self, problem: Problem) -> Problem:
        """The problem with the learned similarities in all its relations; features, ids and what is left out stay."""
        return self._over(problem).transformed(problem)

    def passes_on(self, problem: Problem) -> Problem:
        return self.transformed(problem) if self._share else problem

    @property
    def _share(self) -> float:
        """The share of the learned scores in its direction."""
        return float(self.learned["shares"][int(self._reverse)])

    @property
    def _reverse(self) -> bool:
        return self.direction == "reverse"

    def _over(self, problem: Problem) -> LearnedVectors | LearnedSimilarities:
        weights = self.learned
        mixture = Mixture.of(weights, reverse=self._reverse)
        if "projection" in weights:
            return LearnedSimilarities(mixture, weights)
        if not isinstance(problem.scores, EmbeddingScores):
            raise UnmetNeedError(str(Unmet(self, Need.of("embeddings"))))
        metric: Any = bytes(weights["metric"]).decode().strip()
        self._check_side(taken(problem.scores.gallery, metric))
        return LearnedVectors(mixture, metric)

    def _check_side(self, gallery: AnyArray) -> None:
        """Say so where the gallery is like what was learned from as queries."""
        means = self._weights["gallery_mean"], self._weights["query_mean"]
        own, other = means[::-1] if self._reverse else means
        if gallery.shape[1] != len(own) or len(gallery) < LEAST_PAIRS:
            return
        centre = gallery.mean(axis=0)
        if np.linalg.norm(centre - own) > _FAR * np.linalg.norm(centre - other):
            warnings.warn(
                f"stage '{self.name}' is for direction '{self.direction}', but the gallery is like the queries that it "
                "learned from: reversed() is the stage for the other side",
                RerankitWarning,
                stacklevel=4,
            )


def _known(problem: Problem, relevance: Relevance) -> KnownVectors | KnownSimilarities:
    """The pairs to learn from."""
    if relevance.shape != problem.shape:
        raise rule("relevance", f"must be of the problem's shape {problem.shape}", relevance.shape)
    if len(relevance.indices) < LEAST_PAIRS:
        raise rule("relevance", f"must hold {LEAST_PAIRS} pairs or more to learn from", len(relevance.indices))
    things = parted_things(relevance, LEAST_PAIRS).queries
    form = KnownVectors if isinstance(problem.scores, EmbeddingScores) else KnownSimilarities
    return form.of(problem, relevance, things)


def _part(argument: str, value: Any) -> float | str:
    return "auto" if isinstance(value, str) and value == "auto" else checks.number(argument, value, least=0, most=1)
