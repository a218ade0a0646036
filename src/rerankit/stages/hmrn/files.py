"""Scores of a whole gallery written round by round, a block of searches at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from rerankit.errors import UnmetNeedError
from rerankit.files import atomic, check_free, write_manifest

if TYPE_CHECKING:
    from rerankit.features import Regions
    from rerankit.stages.hmrn.representation import Descriptions
    from rerankit.stages.hmrn.stage import HmrnStage

Row = dict[str, Any]
AnyPath = str | os.PathLike[str]
Features = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Features of the searches and of the images, by name."""


def write_matrices(
    stage: HmrnStage, features: Features, rounds: Any, out: AnyPath, *, overwrite: bool = False
) -> list[Row]:
    """Joint scores of all pairs as `round-01.npy` …, (searches, images) float32; a row of figures for each file.

    Memory stays within the budget whatever the gallery: rows are written as they are done. With `overwrite` a folder
    of earlier scores is replaced, one with anything else in it never.
    """
    check_free(out, overwrite=overwrite, argument="out")
    regions, queries = _read(stage, features)
    scorer, started = stage.scorer, time.monotonic()
    chosen = scorer.rounds(rounds, queries.shape[1])
    shape = (len(queries), len(regions))
    images, searches = scorer.images(regions), scorer.searches(queries)
    with atomic(out, overwrite=overwrite) as folder, ExitStack() as open_files:
        folder.mkdir()
        files = [open_files.enter_context((folder / _name(t, "npy")).open("wb")) for t in chosen]
        for file in files:
            _write_header(file, shape)
        for block in scorer.score(images, searches, chosen):
            for file, rows in zip(files, block.joint, strict=True):
                file.write(np.ascontiguousarray(rows, "<f4").tobytes())
        open_files.close()
        write_manifest(folder, "scores of rounds")
    seconds = round(time.monotonic() - started, 3)
    return [{"round": t, "file": _name(t, "npy"), "shape": list(shape), "seconds, all rounds": seconds} for t in chosen]


def write_rankings(
    stage: HmrnStage,
    features: Features,
    rounds: Any,
    out: AnyPath,
    k: int,
    ids: tuple[Any, Any],
    *,
    overwrite: bool = False,
) -> list[Row]:
    """The first k places of each round as `round-01.npz` …, with the stage's cascade; a row for each file."""
    from rerankit.formats import write
    from rerankit.ranking import Ranking
    from rerankit.stages.hmrn.candidates import gallery_rankings

    check_free(out, overwrite=overwrite, argument="out")
    regions, queries = _read(stage, features)
    scorer, started = stage.scorer, time.monotonic()
    chosen, depth = scorer.rounds(rounds, queries.shape[1]), stage.depth(len(regions))
    images, searches = scorer.images(regions), scorer.searches(queries)
    found = gallery_rankings(scorer, images, searches, chosen, depth=depth, keep=k)
    with atomic(out, overwrite=overwrite) as folder:
        folder.mkdir()
        for t, each in zip(chosen, found, strict=True):
            named = Ranking(each.indices, each.scores, gallery_size=len(regions), query_ids=ids[0], gallery_ids=ids[1])
            write(folder / _name(t, "npz"), named)
        write_manifest(folder, "rankings of rounds")
    seconds = round(time.monotonic() - started, 3)
    return [{"round": t, "file": _name(t, "npz"), "reasoned": depth, "seconds, all rounds": seconds} for t in chosen]


def _read(stage: HmrnStage, features: Features) -> tuple[Regions, Descriptions]:
    for name, side, own in (("text", "query", features[0]), ("regions", "gallery", features[1])):
        if name not in own:
            raise UnmetNeedError(f"stage 'hmrn' needs the {side} feature '{name}' (got {', '.join(own) or 'none'})")
    return stage.read(*features)


def _name(t: int, ending: str) -> str:
    return f"round-{t:02d}.{ending}"


def _write_header(file: IO[bytes], shape: tuple[int, int]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
