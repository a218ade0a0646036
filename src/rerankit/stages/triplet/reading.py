"""How a problem's features are read, and other names for them. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from rerankit.display import with_pictures
from rerankit.problem import Feature, Problem

_GIVEN = ("reference_images", "reference_tokens", "candidate_images", "candidate_tokens")


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
    read = problem.with_features(**more) if more else problem
    return read if reading.images is None else with_pictures(read, reading.images, but=_GIVEN)
