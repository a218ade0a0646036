"""A ranking in shards: a folder with a file for each block of queries, and what they share next to them.

| in the folder | what it is |
| --- | --- |
| `run.json` | the plan: sizes, blocks of queries, digests of data and pipeline |
| `given/` | ids of both sides and items left out, as named arrays |
| `shards/00003.safetensors` | `indices` and `scores` of one block of queries |
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError
from rerankit.formats.content import Content, Tables
from rerankit.formats.safetensors import write_tensors
from rerankit.ranking import Ranking
from rerankit.reading import read_json
from rerankit.reading.safetensors_file import map_tensors, read_tensors

PLAN, GIVEN, SHARDS = "run.json", "given", "shards"
KIND = "run in shards"


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run in shards."""
    return (folder / PLAN).is_file() and (folder / SHARDS).is_dir()


def read_plan(folder: Path) -> dict[str, Any]:
    """The plan of a run, checked as far as its parts are used."""
    plan = read_json(folder / PLAN)
    wanted = {"kind": str, "queries": int, "gallery": int, "shard_size": int, "data": str, "pipeline": str}
    if not isinstance(plan, dict) or any(not isinstance(plan.get(name), kind) for name, kind in wanted.items()):
        raise FormatError(f"{folder / PLAN}: is no plan of a run, or damaged")
    if plan["kind"] != KIND or min(plan["queries"], plan["gallery"], plan["shard_size"]) < 1:
        raise FormatError(f"{folder / PLAN}: is no plan of a run, or damaged")
    return plan


def shard_file(folder: Path, number: int) -> Path:
    """Where a shard of the ranking lies."""
    return folder / SHARDS / f"{number:05d}.safetensors"


def blocks_of(plan: dict[str, Any]) -> list[slice]:
    """The queries of each shard."""
    size, queries = plan["shard_size"], plan["queries"]
    return [slice(start, min(start + size, queries)) for start in range(0, queries, size)]


def write_shard(path: Path, ranking: Ranking) -> None:
    """Write the ranking of a block of queries."""
    write_tensors(path, {"indices": ranking.indices, "scores": ranking.scores})


def check_shard(path: Path, queries: int) -> None:
    """Refuse a shard that is not what was written, or is of another number of queries."""
    _check_rows(path, read_tensors(path), queries)


def read_run(folder: Path) -> Tables:
    """The named arrays of the whole ranking; refused when a shard is missing."""
    plan = read_plan(folder)
    blocks = blocks_of(plan)
    missing = [number for number in range(len(blocks)) if not shard_file(folder, number).is_file()]
    if missing:
        raise FormatError(
            f"{folder}: the run is not finished: {len(missing)} of {len(blocks)} shards are missing, the first is "
            f"{shard_file(folder, missing[0]).name}; 'rerankit runs' tells more"
        )
    parts = [_shard(folder, number, block) for number, block in enumerate(blocks)]
    width = max(part["indices"].shape[1] for part in parts)
    tables = Tables(kind=np.array("ranking"), gallery_size=np.array(plan["gallery"]))
    for name, empty in (("indices", -1), ("scores", -np.inf)):
        whole = np.full((plan["queries"], width), empty, parts[0][name].dtype)
        for block, part in zip(blocks, parts, strict=True):
            whole[block, : part[name].shape[1]] = part[name]
        tables[name] = whole
    return tables


def read_given(folder: Path, read: Callable[[Path], Content]) -> Tables:
    """What the shards share."""
    given = read(folder / GIVEN)
    if not isinstance(given, Tables):
        raise FormatError(f"{folder / GIVEN}: must hold ids")
    return given


def _shard(folder: Path, number: int, block: slice) -> dict[str, AnyArray]:
    path = shard_file(folder, number)
    return _check_rows(path, map_tensors(path), block.stop - block.start)


def _check_rows(path: Path, arrays: dict[str, AnyArray], queries: int) -> dict[str, AnyArray]:
    if set(arrays) != {"indices", "scores"} or any(array.ndim != 2 for array in arrays.values()):
        raise FormatError(f"{path}: must hold 'indices' and 'scores' (got {', '.join(sorted(arrays)) or 'nothing'})")
    rows = {len(array) for array in arrays.values()}
    if rows != {queries}:
        raise FormatError(f"{path}: must have {queries} queries (got {sorted(rows)})")
    return arrays
