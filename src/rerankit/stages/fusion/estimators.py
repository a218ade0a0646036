"""Estimators of scikit-learn's interface in the place of the built-in models of `learned-fusion` and `calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, BoolArray, FloatArray
from rerankit.checksums import checksum_of
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.scores import blocks

_KEY = "estimator"
_LEAST = 1e-15  # log-odds of probabilities of 0 and 1 are finite


@dataclass(frozen=True)
class Fitted:
    """An estimator that was fitted, kept among weights; two are equal where they hold the same."""

    estimator: Any = field(compare=False)
    checksum: str


def model_or_estimator(argument: str, value: Any, names: Sequence[str], *, methods: Sequence[str]) -> Any:
    """The name of a built-in model, or an estimator that has `fit` and one of `methods`."""
    if isinstance(value, str):
        return checks.choice(argument, value, names)
    if isinstance(value, type) or not all(callable(getattr(value, name, None)) for name in ("fit", "get_params")):
        known = f"one of {', '.join(names)}, or an estimator of scikit-learn's interface, made and not its class"
        raise rule(argument, f"must be {known}", repr(value))
    if not any(hasattr(value, name) for name in methods):
        raise rule(argument, f"must be an estimator with {' or '.join(methods)}", repr(value))
    return value


def fit_estimator(
    estimator: Any, samples: AnyArray, right: BoolArray, weights: AnyArray | None = None
) -> dict[str, AnyArray]:
    """A clone of the estimator, fitted to samples (candidates, columns) of which some are right.

    `weights` (candidates,) are handed over where its `fit` has a parameter for them.
    """
    purpose = "an estimator in a stage"
    made = require("sklearn.base", extra="learn", purpose=purpose).clone(estimator)
    validation = require("sklearn.utils.validation", extra="learn", purpose=purpose)
    weighted = weights is not None and validation.has_fit_parameter(made, "sample_weight")
    made.fit(samples.astype(np.float64), right.astype(int), **({"sample_weight": weights} if weighted else {}))
    return {_KEY: np.asarray(Fitted(made, checksum_of(made)), dtype=object)}


def weights_by_query(there: BoolArray) -> AnyArray:
    """Weights of the candidates that are there, by which every query counts as much as any other; their mean is 1."""
    counts = np.maximum(there.sum(axis=1, keepdims=True), 1)
    weights: AnyArray = np.broadcast_to(1 / counts, there.shape)[there]
    return np.asarray(weights / weights.mean())


def estimated_scores(weights: dict[str, AnyArray], columns: FloatArray, there: BoolArray) -> FloatArray:
    """What a fitted estimator says of candidates (queries, K, columns): its decision, or else log-odds."""
    estimator = weights[_KEY].item().estimator
    decides = hasattr(estimator, "decision_function")
    scores = np.zeros(there.shape, np.float32)
    answers = _answers(estimator, "decision_function" if decides else "predict_proba", columns[there])
    if not decides:
        answers = np.clip(answers, _LEAST, 1 - _LEAST)
        answers = np.log(answers) - np.log1p(-answers)
    scores[there] = answers
    return scores


def estimated_chances(weights: dict[str, AnyArray], scores: AnyArray, there: BoolArray) -> AnyArray:
    """Probabilities (queries, K) that a fitted estimator gives to scores (queries, K)."""
    chances = np.zeros(there.shape)
    chances[there] = _answers(weights[_KEY].item().estimator, "predict_proba", scores[there][:, None])
    return chances


def _answers(estimator: Any, method: str, samples: AnyArray) -> AnyArray:
    """What a method says of samples (candidates, columns) being right."""
    parts = (samples[part].astype(np.float64) for part in blocks(len(samples), 64 * samples.shape[1], share=0.25))
    answers = [np.asarray(getattr(estimator, method)(part), np.float64) for part in parts]
    return np.concatenate([each[:, 1] if method == "predict_proba" else each.reshape(-1) for each in answers])
