"""calibrate: scores become probabilities; the order stays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax

from rerankit import checks
from rerankit.arrays import AnyArray, BoolArray, FloatArray
from rerankit.extras import require
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.trainable import Learning, Trainable
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.scores import ListScores
from rerankit.stages.fusion.estimators import estimated_chances, fit_estimator, model_or_estimator
from rerankit.stages.fusion.learners import judged, labels
from rerankit.stages.hubness.spread import spread

METHODS = ("temperature", "platt", "isotonic")

_LEAST = 1e-30
_FAR = 4.0


class Calibrate(Trainable):
    """Map the scores that come in to probabilities, learned on validation queries.

    ``"temperature"``: softmax of score / T over a query's candidates (they share one probability of 1); ``"platt"``: a
    sigmoid, ``"isotonic"``: a monotone step curve, both of each candidate by itself being right. The last two need
    scikit-learn for `fit`. `method` may also be an estimator of scikit-learn's interface with ``predict_proba``, of
    which a clone learns from one column, the scores; where its curve falls while scores rise, it is made level. A stage
    with an estimator is not saved: that would be a pickle.

    Put it at the end of a pipeline and hand `fit` the ranking that the stages before it make. No order changes, so it
    neither gains nor loses quality; calibration from another domain gives wrong probabilities. Where scores spread more
    than four times as much as in `fit`, or as little, the notes say that they are on another scale.

    >>> import numpy as np
    >>> from rerankit import Problem, Relevance, rerank, stage
    >>> scores = np.random.default_rng(0).normal(size=(50, 20)) + 2 * np.eye(50, 20)
    >>> fitted = stage("calibrate").fit(Problem(scores), Relevance.from_dense(np.eye(50, 20)))
    >>> float(rerank(scores, fitted).scores[0].sum().round(3))
    1.0
    """

    scaling = Scaling()
    name = "calibrate"
    citation = "Guo et al., On calibration of modern neural networks (ICML 2017); Zadrozny & Elkan (KDD 2002)"
    takes = ("ranking",)

    def __init__(self, method: Any = "temperature", candidates: int = 50) -> None:
        self.method = model_or_estimator("method", method, METHODS, methods=("predict_proba",))
        self.candidates = checks.integer("candidates", candidates, least=1)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("weights",)

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Learn from `ranking`, or from the problem's first `candidates`."""
        given = judged(problem, relevance, self.candidates) if how.ranking is None else how.ranking
        right, there = labels(given, relevance)
        if isinstance(self.method, str):
            weights = _FIT[self.method](given.scores, right, there)
        else:
            weights = fit_estimator(self.method, given.scores[there][:, None], right[there])
        self.set_weights(weights | {"spread": np.array([_spread(given)])})

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        found, known, here = (
            super().reorder(problem, ranking),
            self._weights.get("spread", np.zeros(1)),
            _spread(ranking),
        )
        if not (known[0] and here) or known[0] / _FAR < here < known[0] * _FAR:
            return found
        spreads = f"the scores spread by {here:.3g}, and by {known[0]:.3g} where it was fitted"
        note = f"{spreads}: fit it on scores of this scale"
        return found.with_notes(calibrate={"note": note})

    def rescore(self, problem: Problem, ranking: Ranking) -> AnyArray:
        # Rounding must not bring candidates into another order, nor what parts equal ones bring them below 0.
        chances: AnyArray = np.maximum(np.minimum.accumulate(self._probabilities(ranking), axis=1), _LEAST)
        return chances

    def _probabilities(self, ranking: Ranking) -> AnyArray:
        scores = np.where(ranking.mask, ranking.scores, 0).astype(np.float64)
        if not isinstance(self.method, str):
            return estimated_chances(dict(self.learned), scores, ranking.mask)
        if self.method == "temperature":
            return _shares(scores, ranking.mask, float(self.learned["temperature"][0]))
        if self.method == "platt":
            slope, intercept = self.learned["sigmoid"]
            return np.asarray(expit(slope * scores + intercept))
        return np.interp(scores, self.learned["levels"], self.learned["probabilities"])


def _spread(ranking: Ranking) -> float:
    return spread(ListScores(ranking.indices, ranking.scores, ranking.gallery_size))


def _shares(scores: AnyArray, there: BoolArray, temperature: float) -> AnyArray:
    return np.asarray(np.exp(log_softmax(np.where(there, scores / temperature, -1e30), axis=1)))


def _fit_temperature(scores: FloatArray, right: BoolArray, there: BoolArray) -> dict[str, AnyArray]:
    useful = right.any(axis=1)
    values = np.where(there, scores, 0).astype(np.float64)[useful]
    spread = max(float(values.std()), 1e-12)

    def loss(log_temperature: float) -> float:
        shares = _shares(values, there[useful], spread * float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(np.where(right[useful], shares, 0).sum(axis=1), 1e-300)).mean())

    best = minimize_scalar(loss, bounds=(-7, 7), method="bounded")
    return {"temperature": np.array([spread * np.exp(best.x)])}


def _fit_platt(scores: FloatArray, right: BoolArray, there: BoolArray) -> dict[str, AnyArray]:
    linear_model = require("sklearn.linear_model", extra="learn", purpose="calibrate's fit")
    values = scores[there].astype(np.float64)
    mean, spread = values.mean(), max(float(values.std()), 1e-12)
    model = linear_model.LogisticRegression(C=1e4).fit(((values - mean) / spread)[:, None], right[there])
    slope = max(float(model.coef_[0, 0]), 0.0) / spread
    return {"sigmoid": np.array([slope, float(model.intercept_[0]) - slope * mean])}


def _fit_isotonic(scores: FloatArray, right: BoolArray, there: BoolArray) -> dict[str, AnyArray]:
    isotonic = require("sklearn.isotonic", extra="learn", purpose="calibrate's fit")
    model = isotonic.IsotonicRegression(out_of_bounds="clip")
    model.fit(scores[there].astype(np.float64), right[there].astype(np.float64))
    levels, chances = np.asarray(model.X_thresholds_), np.asarray(model.y_thresholds_)
    return {"levels": levels.astype(np.float64), "probabilities": chances.astype(np.float64)}


_FIT = {"temperature": _fit_temperature, "platt": _fit_platt, "isotonic": _fit_isotonic}
