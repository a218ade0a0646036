"""`prepare`: the one call that makes a stage ready for a gallery, here or in shards on an engine."""

from __future__ import annotations

import os
from typing import Any

from rerankit.errors import InputError, rule
from rerankit.gallery import Gallery
from rerankit.pipelines.pipeline import as_pipeline
from rerankit.pipelines.ready import Ready, ready_for
from rerankit.pipelines.stage import Stage
from rerankit.pipelines.storage import is_saved, load
from rerankit.plugins import manager


def prepare(
    how: str | os.PathLike[str] | Stage,
    gallery: Gallery,
    *,
    engine: Any = None,
    parts: Any = None,
    shard_size: int | None = None,
    **params: Any,
) -> Ready:
    """Prepare a stage for a gallery: all that does not depend on a query is computed here.

    `how` is a stage's name with its parameters, a stage, a pipeline, or the folder of a saved one.

    With an `engine` ("local", "ray", a `rerankit.engines.Engine`) or a folder `parts`, the work is cut into a shard for
    every `shard_size` items (8192), each a file of `parts`; asked for again, a preparation that was stopped goes on
    with what is there. The bits are the same (docs/scale.md).

    >>> from rerankit import Bank
    >>> gallery = Gallery.from_scores(bank=Bank(to_gallery=[[0.9, 0.1], [0.9, 0.2]]))
    >>> prepare("inverted-softmax", gallery, beta=2).rerank(scores=[0.5, 0.4], k=2).indices
    array([[1, 0]])
    """
    if not isinstance(gallery, Gallery):
        raise rule("gallery", "must be a rerankit.Gallery", type(gallery).__name__)
    pipeline = as_pipeline(_loaded(how), params)
    if engine is not None or parts is not None:
        from rerankit.runs import prepare_in_shards

        return prepare_in_shards(pipeline, gallery, engine=engine, parts=parts, shard_size=shard_size)
    if shard_size is not None:
        raise InputError("'shard_size' belongs to a preparation in shards: give 'parts' or 'engine', too")
    return ready_for(pipeline, gallery)


def _loaded(how: Any) -> Any:
    """The stage or pipeline of a folder; anything else as it is."""
    named = isinstance(how, str) and how not in manager().stages and is_saved(how)
    return load(how) if named or isinstance(how, os.PathLike) else how
