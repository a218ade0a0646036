"""Stage I as a first stage: the problem its vectors make."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.errors import UnmetNeedError, rule
from rerankit.files import atomic, check_free, write_manifest
from rerankit.problem import Feature, Problem
from rerankit.scores import blocks
from rerankit.stages.triplet.reading import completed

if TYPE_CHECKING:
    from rerankit.stages.triplet.stage import Triplet

_QUERY = ("text", "text_ids", "captions", "reference", "reference_path", "reference_images", "reference_tokens")
_GALLERY = ("candidate_path", "candidate_images", "candidate_tokens")


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
    asked, offered = (np.zeros((sizes[side], 1), np.float32) for side in ("query", "gallery"))
    blank = Problem.from_embeddings(asked, offered, metric="dot", features=sided, **rest)
    blank = completed(blank, stage.reading())
    if faults := stage.unmet(blank):
        raise UnmetNeedError("\n".join(faults))
    bundle = stage.bundle.to(pick(stage.device))
    queries, gallery = vectors(blank, bundle, stage.reading())
    return Problem.from_embeddings(queries, gallery, metric="dot", features=_sided_again(blank), **rest)


def write_matrices(
    stage: Triplet, matrices: Mapping[str, Any], out: str | os.PathLike[str], *, overwrite: bool = False
) -> list[dict[str, Any]]:
    """Stage I's scores of each of the `matrices` as NAME.npy in the folder `out`; a row of figures for each file.

    A matrix is anything with `features`, `query_ids` and `gallery_ids`, such as a task's or a problem. With
    `overwrite` a folder of earlier scores is replaced, one with anything else in it never.
    """
    check_free(out, overwrite=overwrite, argument="out")
    rows = []
    with atomic(out) as folder:
        folder.mkdir()
        for name, matrix in matrices.items():
            started = time.monotonic()
            features = _sided_again(matrix) if isinstance(matrix, Problem) else matrix.features
            scored = stage.first_stage(features, query_ids=matrix.query_ids, gallery_ids=matrix.gallery_ids)
            file = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype="<f4", shape=scored.shape)
            for block in blocks(scored.shape[0], 4 * scored.shape[1]):
                file[block] = scored.scores.rows(block)
            file.flush()
            seconds = round(time.monotonic() - started, 3)
            del file
            rows.append({"file": f"{name}.npy", "shape": list(scored.shape), "seconds": seconds})
        write_manifest(folder, "scores")
    return rows


def _sided_again(problem: Problem) -> dict[str, Feature]:
    sides = problem.feature_sides
    return {name: Feature(values, sides[name]) for name, values in problem.features.items()}


def _size(features: Mapping[str, Feature], side: str, ids: Any) -> int:
    found = [] if ids is None else [len(ids)]
    found += [len(feature.values) for feature in features.values() if feature.side == side]
    if not found:
        raise rule("features", f"must have one of the {side}'s", "none")
    return found[0]
