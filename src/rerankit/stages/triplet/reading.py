"""How a problem's features are read, and other names for them. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Where the picture of an item is, with {id} in place of its id."""


def completed(problem: Problem, reading: Reading) -> Problem:
    """The problem with features of our names for those that it has under a task's names."""
    features = problem.features
    more: dict[str, Feature] = {}
    if "captions" in features and not {"text", "text_ids"} & features.keys():
        more["text"] = Feature(features["captions"], "query")
    pattern = reading.images
    if pattern is None:
        return problem.with_features(**more) if more else problem
    if "reference" in features and not {"reference_images", "reference_tokens"} & features.keys():
        more["reference_images"] = Feature([pattern.format(id=name) for name in features["reference"]], "query")
    if problem.gallery_ids is not None and not {"candidate_images", "candidate_tokens"} & features.keys():
        paths = [pattern.format(id=name) for name in problem.gallery_ids.tolist()]
        more["candidate_images"] = Feature(paths, "gallery")
    return problem.with_features(**more)
