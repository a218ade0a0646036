"""Stage I as a first stage: the problem its vectors make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.errors import rule
from rerankit.problem import Feature, Problem
from rerankit.stages.triplet.reading import completed

if TYPE_CHECKING:
    from rerankit.stages.triplet.stage import Triplet

_QUERY = ("text", "text_ids", "captions", "reference", "reference_images", "reference_tokens")
_GALLERY = ("candidate_images", "candidate_tokens")


def with_sides(features: Mapping[str, Any]) -> dict[str, Feature]:
    """The features with the side each of them belongs to."""
    unknown = sorted(set(features) - {*_QUERY, *_GALLERY})
    if unknown:
        raise rule("features", f"must be among {', '.join((*_QUERY, *_GALLERY))}", unknown)
    return {
        name: value if isinstance(value, Feature) else Feature(value, "query" if name in _QUERY else "gallery")
        for name, value in features.items()
    }


def first_stage(stage: Triplet, features: Mapping[str, Any], **rest: Any) -> Problem:
    """A problem with stage I's cosine similarities and these features; `rest` goes to `Problem`."""
    from rerankit.stages.triplet.representation import vectors
    from rerankit.training.devices import pick

    sided = with_sides(features)
    sizes = {side: _size(sided, side, rest.get(f"{side}_ids")) for side in ("query", "gallery")}
    blank = Problem(np.zeros((sizes["query"], sizes["gallery"]), np.float32), features=sided, **rest)
    blank = completed(blank, stage.reading())
    bundle = stage.bundle.to(pick(stage.device))
    queries, gallery = vectors(blank, bundle, stage.reading())
    return Problem.from_embeddings(queries, gallery, metric="dot", features=_sided_again(blank), **rest)


def _sided_again(problem: Problem) -> dict[str, Feature]:
    sides = problem.feature_sides
    return {name: Feature(values, sides[name]) for name, values in problem.features.items()}


def _size(features: Mapping[str, Feature], side: str, ids: Any) -> int:
    found = [] if ids is None else [len(ids)]
    found += [len(feature.values) for feature in features.values() if feature.side == side]
    if not found:
        raise rule("features", f"must have one of the {side}'s", "none")
    return found[0]
