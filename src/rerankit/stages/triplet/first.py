"""Stage I as a first stage: the problem its vectors make."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.errors import NotFittedError, rule
from rerankit.features import as_feature
from rerankit.files import atomic, check_free, write_manifest
from rerankit.problem import Problem
from rerankit.scores import blocks

if TYPE_CHECKING:
    from rerankit.stages.triplet.stage import Triplet


def first_stage(stage: Triplet, query_features: Any, gallery_features: Any, **rest: Any) -> Problem:
    """A problem with stage I's cosine similarities and these features; `rest` goes to `Problem`."""
    from rerankit.stages.triplet.representation import vectors
    from rerankit.training.devices import pick

    given = {"query_features": query_features, "gallery_features": gallery_features}
    asked, offered = (
        np.zeros((_size(features, name, rest.get(name.replace("features", "ids"))), 1), np.float32)
        for name, features in given.items()
    )
    blank = stage.completed(Problem.from_embeddings(asked, offered, metric="dot", **given, **rest))
    stage.check(blank, weights=False)
    bundle = stage.bundle.to(pick(stage.device))
    if not bundle.filter_trained:
        raise NotFittedError(f"stage '{stage.name}' {bundle.lacks}")
    queries, gallery = vectors(blank, bundle, stage.reading())
    known = {"query_features": blank.query_features, "gallery_features": blank.gallery_features}
    return Problem.from_embeddings(queries, gallery, metric="dot", **known, **rest)


def write_matrices(
    stage: Triplet, matrices: Mapping[str, Any], out: str | os.PathLike[str], *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Stage I's scores of each of the `matrices` as NAME.npy in the folder `out`; a row of figures for each file.

    A matrix is anything with features and ids of both sides, such as a task's or a problem. With
    `overwrite` a folder of earlier scores is replaced, one with anything else in it never.
    """
    check_free(out, overwrite=overwrite, argument="out")
    rows = []
    with atomic(out) as folder:
        folder.mkdir()
        for name, matrix in matrices.items():
            started = time.monotonic()
            features = matrix.query_features, matrix.gallery_features
            scored = stage.first_stage(*features, query_ids=matrix.query_ids, gallery_ids=matrix.gallery_ids)
            file = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype="<f4", shape=scored.shape)
            for block in blocks(scored.shape[0], 4 * scored.shape[1]):
                file[block] = scored.scores.rows(block)
            file.flush()
            seconds = round(time.monotonic() - started, 3)
            del file
            rows.append({"file": f"{name}.npy", "shape": list(scored.shape), "seconds": seconds})
        write_manifest(folder, "scores")
    return rows


def _size(features: Any, argument: str, ids: Any) -> int:
    """How many items one side has, by its ids or its features."""
    if not isinstance(features, Mapping):
        raise rule(argument, "must map names to values", type(features).__name__)
    found = [] if ids is None else [len(ids)]
    found += [len(as_feature(name, value, f"{argument}[{name!r}]")) for name, value in features.items()]
    if not found:
        raise rule(argument, "must have at least one feature", "none")
    return found[0]
