"""What `learned-fusion` and `calibrate` learn from, and the models behind the first.

They are fitted once, kept as plain arrays and applied with numpy alone. Each takes columns (queries, K, columns), which
candidates are right (queries, K) and which are there at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

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
_SEEN = 20_000  # candidates on which a tree is grown
_RATE = 0.06  # how far a tree steps
_HELD_BACK = 5.0  # a leaf of so much weight goes half of its way
_LEAST_BEND = 1e-6


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
    """Boosted trees of one candidate being right: each is grown on some candidates, and steps towards what the ones
    before it left over (Friedman, Stochastic gradient boosting, 2002; leaves by Newton's step).
    """
    tree = require("sklearn.tree", extra="learn", purpose="learned-fusion's fit")
    samples, targets = columns[there], right[there].astype(np.float64)
    count, random = len(samples), np.random.default_rng(0)
    share = min(1.0, _SEEN / count)
    least = max(1, round(min(100, count // 50) * share))
    baseline = float(logit(targets.mean()))
    total, grown = np.full(count, baseline), []
    for _ in range(trees):
        chance = expit(total)
        bend = np.maximum(chance * (1 - chance), _LEAST_BEND)
        some = random.permutation(count)[:_SEEN] if share < 1 else np.arange(count)
        model = tree.DecisionTreeRegressor(max_leaf_nodes=15, min_samples_leaf=least, random_state=0)
        model.fit(samples[some], ((targets - chance) / bend)[some], sample_weight=bend[some])
        nodes = model.tree_
        weight = nodes.weighted_n_node_samples / share
        values = _RATE * nodes.value[:, 0, 0] * weight / (weight + _HELD_BACK)
        total += values[model.apply(samples)]
        grown.append((nodes, values))
    return {**tree_arrays(grown), "baseline": np.array([baseline])}


def tree_arrays(trees: Sequence[tuple[Any, AnyArray]]) -> Weights:
    """Trees of scikit-learn, with the values (nodes,) of their leaves, as arrays (trees, nodes)."""
    shape = (len(trees), max(nodes.node_count for nodes, _ in trees))
    weights: Weights = {name: np.zeros(shape, np.int32) for name in ("feature", "left", "right")}
    weights |= {name: np.zeros(shape) for name in ("threshold", "value")}
    for row, (nodes, values) in enumerate(trees):
        leaf, own = nodes.children_left < 0, np.arange(nodes.node_count)
        for name, found in (
            ("feature", np.where(leaf, 0, nodes.feature)),
            ("threshold", np.where(leaf, np.inf, nodes.threshold)),
            ("left", np.where(leaf, own, nodes.children_left)),  # a leaf leads to itself
            ("right", np.where(leaf, own, nodes.children_right)),
            ("value", np.where(leaf, values, 0)),
        ):
            weights[name][row, : len(own)] = found
    return {**weights, "depth": np.array([max(nodes.max_depth for nodes, _ in trees)])}


def predicted(weights: Weights, columns: FloatArray) -> FloatArray:
    """Scores (queries, K) from columns (queries, K, columns)."""
    if "coefficients" in weights:
        centred = (columns - weights["mean"].astype(np.float32)) / weights["scale"].astype(np.float32)
        # not by a matrix library: its kernels may read past a few numbers, and warn of what stands there
        sums = np.einsum("...c,c->...", centred, weights["coefficients"].astype(np.float32))
        scores: FloatArray = sums + np.float32(weights["intercept"][0])
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
