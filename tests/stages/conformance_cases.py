"""The fitted forms of the stages that learn from labels, for the conformance kit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import numpy as np

import rerankit
from rerankit import Relevance, Stage
from rerankit.extras import require
from rerankit.testing import StageCase, make_problem
from strategies import asked_again


def _fitted(name: str, **params: object) -> Stage:
    """The stage after learning that a query's second candidate is right, and its first one for every third."""
    problem = make_problem(40, 30, 99)
    first = problem.ranking(2).indices
    right = [[row[0 if query % 3 == 0 else 1]] for query, row in enumerate(first.tolist())]
    made = rerankit.stage(name, **params)
    fit = made.fit  # type: ignore[attr-defined]
    fitted: Stage = fit(problem, Relevance.from_lists(right, 30))
    numbers = [values for values in fitted.get_weights().values() if values.dtype != object]
    assert np.all([np.isfinite(values).any() for values in numbers])
    return fitted


def _copies(fit: Callable[[], Stage]) -> Callable[[], Stage]:
    """What makes a stage of its own each time, of one that is fitted once."""
    fitted = cache(fit)
    return lambda: copy.deepcopy(fitted())


def _case(name: str, **params: object) -> StageCase:
    return StageCase(_copies(lambda: _fitted(name, **params)))


def _estimator(name: str, parameter: str, module: str, estimator: str, **params: object) -> StageCase:
    """The stage with an estimator of scikit-learn; tests/stages/fusion/test_estimators.py has how saving is refused."""
    skip = {"check_save": "an estimator could only be written as a pickle, so saving is refused"}

    def factory() -> Stage:
        made = getattr(require(f"sklearn.{module}", extra="learn"), estimator)(**params)
        return _fitted(name, **{parameter: made})

    return StageCase(_copies(factory), skip=skip)


def _with_gallery_bank(queries: int, gallery: int, seed: int) -> rerankit.Problem:
    random = np.random.default_rng(seed)
    bank = rerankit.Bank(to_gallery=random.normal(size=(7, gallery)), to_queries=random.normal(size=(7, queries)))
    return make_problem(queries, gallery, seed).with_banks(gallery_bank=bank)


_VOTES = ("score", "gallery-opinion", "query-opinion", "gallery-votes", "query-votes")

CASES = {
    "calibrate": _case("calibrate"),
    "calibrate: platt": _case("calibrate", method="platt"),
    "calibrate: isotonic": _case("calibrate", method="isotonic"),
    "calibrate: an estimator": _estimator("calibrate", "method", "linear_model", "LogisticRegression"),
    "learned-fusion": _case("learned-fusion"),
    "learned-fusion: without others": _case("learned-fusion", opinions=("score", "margin", "rank", "incoming")),
    "learned-fusion: votes": _case("learned-fusion", opinions=_VOTES),
    "learned-fusion: logistic": _case("learned-fusion", model="logistic"),
    "learned-fusion: trees": _case("learned-fusion", model="trees", trees=30),
    "learned-fusion: an estimator": _estimator("learned-fusion", "model", "linear_model", "LogisticRegression"),
    "learned-fusion: a forest": _estimator(
        "learned-fusion", "model", "ensemble", "RandomForestClassifier", n_estimators=5, random_state=0
    ),
    "consensus: query": StageCase(lambda: rerankit.stage("consensus", voters="query")),
    "consensus: gallery": StageCase(lambda: rerankit.stage("consensus", voters="gallery")),
    "consensus": StageCase(lambda: rerankit.stage("consensus")),
    "diffusion": StageCase(lambda: rerankit.stage("diffusion")),
    "diffusion: offline": StageCase(lambda: rerankit.stage("diffusion", truncation=5)),
    "dual-is": StageCase(lambda: rerankit.stage("dual-is")),
    "dual-is: bank": StageCase(lambda: rerankit.stage("dual-is", gallery="bank"), problem=_with_gallery_bank),
    "gnn: aligned": StageCase(lambda: rerankit.stage("gnn", align=True)),
    "k-reciprocal: aligned": StageCase(
        lambda: rerankit.stage("k-reciprocal", align=True), skip={"check_scale": "its distances are made of cosines"}
    ),
    "mutual-neighbours": StageCase(lambda: rerankit.stage("mutual-neighbours")),
    "mutual-neighbours: nearest queries": StageCase(lambda: rerankit.stage("mutual-neighbours", nearest_queries=2)),
    "plan": StageCase(lambda: rerankit.stage("plan")),
    "plan: a log": StageCase(lambda: rerankit.stage("plan"), problem=asked_again),
    "sinkhorn": StageCase(lambda: rerankit.stage("sinkhorn")),
    "sinkhorn: all cells": StageCase(lambda: rerankit.stage("sinkhorn", cells_kept=None)),
}
