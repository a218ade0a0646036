"""How a problem's features are read, and other names for them. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rerankit.errors import rule
from rerankit.problem import Feature, Problem


@dataclass(frozen=True)
class Reading:
    """How features are read: the parameters of the stage that concern input."""

    on_error: str = "raise"
    cache: str | None = None
    cache_bytes: int | str = "20GB"
    image_pad: str = "target"
    image_batch: int = 8
    max_tokens: int = 40
    images: str | None = None
    """Where the picture of an item is, with {id} in place of its id, or {path} of what the task calls its path."""


def completed(problem: Problem, reading: Reading) -> Problem:
    """The problem with features of our names for those that it has under a task's names."""
    features = problem.features
    more: dict[str, Feature] = {}
    if "captions" in features and not {"text", "text_ids"} & features.keys():
        more["text"] = Feature(features["captions"], "query")
    pattern = reading.images
    if pattern is None:
        return problem.with_features(**more) if more else problem
    ids = None if problem.gallery_ids is None else problem.gallery_ids.tolist()
    if "reference" in features and not {"reference_images", "reference_tokens"} & features.keys():
        pictures = _pictures(pattern, features["reference"], features.get("reference_path"))
        more["reference_images"] = Feature(pictures, "query")
    if ids is not None and not {"candidate_images", "candidate_tokens"} & features.keys():
        more["candidate_images"] = Feature(_pictures(pattern, ids, features.get("candidate_path")), "gallery")
    return problem.with_features(**more)


def _pictures(pattern: str, names: Iterable[Any], paths: Iterable[Any] | None) -> list[str]:
    """Where pictures lie, of their names and, where the pattern asks for them, paths."""
    if "{path" in pattern and paths is None:
        raise rule("images", "must be a path with {id}: this problem has no paths of pictures", pattern)
    if paths is None:
        return [pattern.format(id=name) for name in names]
    return [os.path.normpath(pattern.format(id=n, path=path)) for n, path in zip(names, paths, strict=True)]
