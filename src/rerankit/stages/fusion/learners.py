"""What `learned-fusion` and `calibrate` learn from, and the models behind the first.

They are fitted once, kept as plain arrays and applied with numpy alone. Each takes columns (queries, K, columns), which
candidates are right (queries, K) and which are there at all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from rerankit.arrays import AnyArray, BoolArray, FloatArray
from rerankit.errors import InputError
from rerankit.extras import require
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance, agreeing
from rerankit.scores import blocks
from rerankit.stages.candidates import items_of, rows_of
from rerankit.threads import in_threads

Weights = dict[str, AnyArray]
_COMPARED = 1000  # candidates for which trees that were taken out must say what they said inside


def judged(problem: Problem, relevance: Relevance, count: int) -> Ranking:
    """The first `count` candidates of every query, none of them an item that is left out."""
    return problem.excluding(agreeing("relevance", relevance, problem.shape, problem.excluded).excluded).ranking(count)


def labels(ranking: Ranking, relevance: Relevance) -> tuple[BoolArray, BoolArray]:
    """Which candidates (queries, K) are right, and which are there and not to be left out; both kinds must occur."""
    relevance = agreeing("relevance", relevance, (len(ranking), ranking.gallery_size), ranking.excluded)
    width = relevance.shape[1]
    keys = rows_of(ranking) * width + items_of(ranking)
    right = np.isin(keys, relevance.keys) & ranking.mask
    there = ranking.mask & ~relevance.excluded.holds(ranking.indices)
    if not right.any() or right[there].all():
        raise InputError("'relevance' must make some candidates right and some wrong")
    return right, there


def fit_logistic(columns: FloatArray, right: BoolArray, there: BoolArray, penalty: float) -> Weights:
    """Logistic regression of one candidate being right, on columns at mean 0 and deviation 1."""
    linear_model = require("sklearn.linear_model", extra="learn", purpose="learned-fusion's fit")
    mean, scale = _spread(columns[there])
    model = linear_model.LogisticRegression(C=1 / penalty, max_iter=1000)
    model.fit((columns[there] - mean) / scale, right[there])
    return {"mean": mean, "scale": scale, "coefficients": model.coef_[0], "intercept": model.intercept_}


def fit_list_wise(columns: FloatArray, right: BoolArray, there: BoolArray, penalty: float) -> Weights:
    """A linear score whose softmax over a query's candidates gives the right ones the most."""
    mean, scale = _spread(columns[there])
    useful = (right & there).any(axis=1)
    values = (columns[useful].astype(np.float64) - mean) / scale
    targets, present = (right & there)[useful], there[useful]

    def loss(coefficients: AnyArray) -> tuple[float, AnyArray]:
        logits = np.where(present, values @ coefficients, -1e30)
        shares = log_softmax(logits, axis=1)
        among = log_softmax(np.where(targets, logits, -1e30), axis=1)
        found = np.where(targets, np.exp(shares), 0).sum(axis=1)
        pull = np.exp(shares) - np.exp(among)
        gradient = np.einsum("qk,qkc->c", pull, values) / len(values)
        share = penalty / len(values)
        total = -np.log(np.maximum(found, 1e-300)).mean() + share / 2 * coefficients @ coefficients
        return float(total), gradient + share * coefficients

    best = minimize(loss, np.zeros(columns.shape[-1]), jac=True, method="L-BFGS-B")
    return {"mean": mean, "scale": scale, "coefficients": best.x, "intercept": np.zeros(1)}


def fit_trees(columns: FloatArray, right: BoolArray, there: BoolArray, trees: int) -> Weights:
    """Boosted trees of one candidate being right, taken out of scikit-learn as arrays.

    scikit-learn shows no arrays of trees that are boosted over histograms (those of its plain boosting, which it shows,
    take some fifty times as long to fit), so what was taken out is compared with what the model itself says.
    """
    ensemble = require("sklearn.ensemble", extra="learn", purpose="learned-fusion's fit")
    least = min(100, max(1, int(there.sum()) // 50))
    model = ensemble.HistGradientBoostingClassifier(
        max_iter=trees, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=least, l2_regularization=5.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    samples = columns[there]
    model.fit(samples, right[there])
    some = samples[:: max(1, len(samples) // _COMPARED)]
    try:
        weights = tree_arrays(model)
        alike = np.allclose(predicted(weights, some), model.decision_function(some), atol=1e-4)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        alike = False
    if not alike:
        version = require("sklearn", extra="learn", purpose="learned-fusion's fit").__version__
        raise InputError(
            f"scikit-learn {version} keeps its trees in a way that is not known here: take another 'model'"
        )
    return weights


def tree_arrays(model: Any) -> Weights:
    """A fitted HistGradientBoostingClassifier of two classes as arrays (trees, nodes)."""
    nodes = [predictor[0].nodes for predictor in model._predictors]
    shape = (len(nodes), max(len(one) for one in nodes))
    weights: Weights = {
        "feature": np.zeros(shape, np.int32),
        "threshold": np.zeros(shape, np.float64),
        "left": np.zeros(shape, np.int32),
        "right": np.zeros(shape, np.int32),
        "value": np.zeros(shape, np.float64),
        "baseline": np.asarray(model._baseline_prediction, np.float64).reshape(1),
    }
    fields = {"feature": "feature_idx", "threshold": "num_threshold", "left": "left", "right": "right"}
    for tree, one in enumerate(nodes):
        size = len(one)
        leaf = one["is_leaf"].astype(bool)
        for name, field in fields.items():
            weights[name][tree, :size] = one[field]
        for name in ("left", "right"):  # a leaf leads to itself
            weights[name][tree, :size] = np.where(leaf, np.arange(size), weights[name][tree, :size])
        weights["threshold"][tree, :size][leaf] = np.inf
        weights["value"][tree, :size] = np.where(leaf, one["value"], 0)
    weights["depth"] = np.array([max(int(one["depth"].max()) for one in nodes)])
    return weights


def predicted(weights: Weights, columns: FloatArray) -> FloatArray:
    """Scores (queries, K) from columns (queries, K, columns)."""
    if "coefficients" in weights:
        centred = (columns - weights["mean"].astype(np.float32)) / weights["scale"].astype(np.float32)
        scores: FloatArray = centred @ weights["coefficients"].astype(np.float32) + np.float32(weights["intercept"][0])
        return scores
    flat = columns.reshape(-1, columns.shape[-1])
    parts = list(blocks(len(flat), 4096, share=0.25))
    found = in_threads(lambda part: _through_trees(weights, flat[part]), parts)
    return np.concatenate(found).reshape(columns.shape[:-1]).astype(np.float32)


def _through_trees(weights: Weights, samples: FloatArray) -> AnyArray:
    total = np.full(len(samples), weights["baseline"][0])
    every = np.arange(len(samples))
    for tree in range(len(weights["feature"])):
        feature, threshold, left, right = (weights[name][tree] for name in ("feature", "threshold", "left", "right"))
        node = np.zeros(len(samples), np.int32)
        for _ in range(int(weights["depth"][0])):
            node = np.where(samples[every, feature[node]] <= threshold[node], left[node], right[node])
        total += weights["value"][tree][node]
    return total


def _spread(samples: FloatArray) -> tuple[AnyArray, AnyArray]:
    mean = samples.mean(axis=0, dtype=np.float64)
    scale = samples.std(axis=0, dtype=np.float64)
    return mean, np.where(scale > 1e-12, scale, 1.0)
