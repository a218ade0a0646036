"""Stage I as a first stage: the problem its vectors make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.errors import NotFittedError, rule
from rerankit.features import as_feature
from rerankit.problem import Problem

if TYPE_CHECKING:
    from rerankit.stages.triplet.stage import Triplet


def first_stage(stage: Triplet, query_features: Any, gallery_features: Any, **rest: Any) -> Problem:
    """A problem with stage I's cosine similarities and these features; `rest` goes to `Problem`."""
    from rerankit.stages.triplet.representation import vectors
    from rerankit.training.devices import pick

    given = {"query_features": query_features, "gallery_features": gallery_features}
    searches, offered = (
        np.zeros((_size(features, name, rest.get(name.replace("features", "ids"))), 1), np.float32)
        for name, features in given.items()
    )
    blank = stage.completed(Problem.from_embeddings(searches, offered, metric="dot", **given, **rest))
    stage.check(blank, weights=False)
    bundle = stage.bundle.to(pick(stage.device))
    if not bundle.filter_trained:
        raise NotFittedError(f"stage '{stage.name}' {bundle.lacks}")
    queries, gallery = vectors(blank, bundle, stage.reading())
    known = {"query_features": blank.query_features, "gallery_features": blank.gallery_features}
    return Problem.from_embeddings(queries, gallery, metric="dot", **known, **rest)


def _size(features: Any, argument: str, ids: Any) -> int:
    """How many items one side has, by its ids or its features."""
    if not isinstance(features, Mapping):
        wanted = "must map names to values, such as problem.query_features and problem.gallery_features"
        raise rule(argument, wanted, type(features).__name__)
    found = [] if ids is None else [len(ids)]
    found += [len(as_feature(name, value, f"{argument}[{name!r}]")) for name, value in features.items()]
    if not found:
        raise rule(argument, "must have at least one feature", "none")
    return found[0]
