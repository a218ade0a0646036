"""The stage from published checkpoints, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rerankit.errors import NotFittedError
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.checkpoint import dual_from_filter, export_dual, export_filter, load_dual, load_filter
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

    Without a second file stage II starts from the first's text weights, copied into both streams, and has to
    be trained. `vocabulary` is a BERT vocab.txt or its folder; without one texts are given as token ids.
    `heads` must be given where they are not 64 channels wide.
    """
    network = load_filter(first, heads=heads)
    dual = dual_from_filter(network) if second is None else load_dual(second, heads=heads)
    words = None if vocabulary is None else tuple(TextTokenizer.from_file(vocabulary).words)
    return Triplet(**params).with_bundle(Bundle(network, dual, words))


def export_published(stage: Triplet, folder: PathLike) -> tuple[Path, ...]:
    """Write a stage's networks as published files, stage1.pt and stage2.pt; the paths are returned."""
    bundle, room = stage.bundle, Path(folder)
    if bundle.dual is None:
        raise NotFittedError("stage 'triplet' has no dual encoder to export yet: fit stage II")
    export_filter(bundle.filter, room / "stage1.pt")
    export_dual(bundle.dual, room / "stage2.pt")
    return room / "stage1.pt", room / "stage2.pt"
