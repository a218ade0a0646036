"""Preparing on an engine: what a stage computes of a gallery is cut into shards, and joined."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rerankit import checks
from rerankit.checksums import checksum_of
from rerankit.cutting import cut_by
from rerankit.engines import Engine, engine_of
from rerankit.engines.parts import Parts
from rerankit.errors import InputError, rule
from rerankit.files import atomic, clear_leftovers, writing_to
from rerankit.gallery import Gallery
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.ready import Ready, check_standing, ready_for
from rerankit.reading import read_json
from rerankit.runs.folder import locked
from rerankit.runs.working import PARTS_PREFIX, RETRIES, checked_size, shards_of, temporary_folder
from rerankit.version import __version__

_PLAN = "preparation.json"
_SAID = {
    "data": "another gallery, or another bank",
    "pipeline": "another pipeline, or other parameters of it",
    "shard_size": "another shard_size",
    "rerankit": "another version of rerankit",
}


def prepare_in_shards(
    pipeline: Pipeline,
    gallery: Gallery,
    *,
    engine: str | Engine | None = None,
    engine_settings: Mapping[str, Any] | None = None,
    parts: Any = None,
    shard_size: int | None = None,
    retries: int = RETRIES,
) -> Ready:
    """A pipeline prepared for a gallery, its work cut into a shard for every `shard_size` items on an engine.

    Stages say by what theirs can be cut (`Scaling.cut`); the others are prepared here. Finished shards are files of the
    folder `parts`, with which a preparation that was stopped goes on when it is asked for again.
    """
    where = engine_of(engine, engine_settings)
    size = checked_size(shard_size)
    checks.integer("retries", retries, least=0)
    check_standing(pipeline, gallery)
    place = temporary_folder(PARTS_PREFIX) if parts is None else nullcontext(Path(parts))
    with place as folder, locked(folder), writing_to(folder):
        if parts is not None:
            _begin(folder, {"rerankit": __version__, **_digests(pipeline, gallery), "shard_size": size})
        cutter = Parts(where, folder, shards_of(gallery.size, size), retries=retries, durable=parts is not None)
        with where.kept(), cut_by(cutter):
            return ready_for(pipeline, gallery)


def _digests(pipeline: Pipeline, gallery: Gallery) -> dict[str, str]:
    side, bank = gallery.side, gallery.bank
    parts = [None, None, None] if bank is None else [bank.to_gallery, bank.to_queries, bank.to_bank]
    of_other = [] if side.bank is None else [side.bank.to_gallery]
    return {
        "data": checksum_of([side.scores, dict(side.features), *parts, *of_other]),
        "pipeline": checksum_of(pipeline),
    }


def _begin(folder: Path, plan: dict[str, Any]) -> None:
    """Write what is prepared, or go on with the same."""
    clear_leftovers(folder)
    file = folder / _PLAN
    if file.is_file():
        there: Any = read_json(file)
        known = there if isinstance(there, dict) else {}
        other = [text for name, text in _SAID.items() if known.get(name) != plan[name]]
        if other:
            raise InputError(f"'{folder}' holds shards of {' and '.join(other)}: name another folder for 'parts'")
        return
    if any(folder.iterdir()):
        raise rule("parts", "must be a new or empty folder, or that of the same preparation", folder)
    with atomic(file) as temporary:
        temporary.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
