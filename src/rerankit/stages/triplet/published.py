"""The stage from published checkpoints, and back."""

from __future__ import annotations

import os
from typing import Any

from rerankit.errors import InputError, NotFittedError
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.checkpoint import DUAL_KEY, FILTER_KEY, export, is_stage_one, load_dual, load_filter
from rerankit.stages.triplet.stage import Triplet
from rerankit.stages.triplet.text import TextTokenizer

PathLike = str | os.PathLike[str]


def import_published(
    first: PathLike,
    second: PathLike | None = None,
    *,
    vocabulary: PathLike | None = None,
    heads: int | None = None,
    **params: Any,
) -> Triplet:
    """The stage of a published stage-I file (or plain BLIP retrieval weights) and a stage-II file.

    Without a second file the stage has to be fitted before it re-ranks: stage II starts from the first's text weights,
    copied into both streams; so has stage I, if the file is plain BLIP's. `vocabulary` is a BERT vocab.txt or its
    folder; without one texts are given as token ids.
    `heads` must be given where they are not 64 channels wide.
    """
    trained = is_stage_one(first)
    if second is not None and not trained:
        raise InputError(f"'{first}' is not the stage I that '{second}' was trained with: it has no '{FILTER_KEY}'")
    network = load_filter(first, heads=heads)
    dual = None if second is None else load_dual(second, heads=heads)
    words = None if vocabulary is None else tuple(TextTokenizer.from_file(vocabulary).words)
    return Triplet(**params).with_bundle(Bundle(network, dual, words, filter_trained=trained))


def export_published(stage: Triplet, first: PathLike, second: PathLike) -> None:
    """Write a fitted stage's networks as published files: stage I's, and stage II's."""
    bundle = stage.bundle
    if bundle.dual is None:
        raise NotFittedError(f"stage 'triplet' {bundle.lacks}")
    export(bundle.filter, first, FILTER_KEY)
    export(bundle.dual, second, DUAL_KEY)
