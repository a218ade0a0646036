"""What a run of a benchmark is known by, and what is kept of one that was interrupted."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rerankit.bench.inputs import Contender, ScoreSet
from rerankit.bench.result import VERSION, PartRow, part_from_dict, part_to_dict
from rerankit.errors import FormatError
from rerankit.files import atomic
from rerankit.metrics.registry import measures
from rerankit.pipelines.composite import with_inner
from rerankit.pipelines.pipeline import Pipeline
from rerankit.plugins.code import code_of
from rerankit.reading import read_json
from rerankit.tasks import Benchmark


def code_behind(benchmark: Benchmark, pipeline: Pipeline) -> dict[str, str]:
    """The version of rerankit, and distribution and sources of each plugin that a run asks: stages, task, metrics."""
    names = {name for part in benchmark.parts for name in benchmark.metrics(part)}
    functions = [named.metric.function for named in measures(sorted(names))] if names else []
    return code_of([*(type(one) for one in with_inner(pipeline)), type(benchmark.task), *functions])


def describe(benchmark: Benchmark) -> dict[str, Any]:
    """What a result says of its task."""
    card = benchmark.task.card
    params = {name: value for name, value in benchmark.task.get_params().items()}
    named = ("name", "title", "revision", "split", "direction", "licence", "citation", "main")
    known = {name: getattr(card, name) for name in named}
    return {**known, "params": params, "sha256": benchmark.checksum}


def run_key(*parts: Any) -> str:
    """SHA-256 of everything that decides an outcome."""
    return hashlib.sha256(json.dumps([VERSION, *parts], sort_keys=True, default=str).encode()).hexdigest()


def run_name(benchmark: Benchmark, scores: ScoreSet, each: Contender, key: str) -> str:
    """A readable name; the key's first digits keep variants apart."""
    words = (benchmark.task.card.name, scores.label, each.label)
    return "__".join(re.sub(r"[^A-Za-z0-9.+-]+", "-", word).strip("-") for word in words) + f"__{key[:8]}"


def keep_parts(partial: Path | None, key: str, rows: Iterable[PartRow]) -> None:
    if partial is not None:
        with atomic(partial) as temporary:
            temporary.write_text(json.dumps({"key": key, "parts": [part_to_dict(row) for row in rows]}))


def kept_parts(partial: Path, key: str) -> dict[str, PartRow]:
    """The finished parts of an interrupted run; nothing when the file is of another run or damaged."""
    if not partial.is_file():
        return {}
    try:
        data = read_json(partial, dict)
        rows = [part_from_dict(part) for part in data["parts"]] if data["key"] == key else []
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, FormatError):
        return {}
    return {row.name: row for row in rows}
