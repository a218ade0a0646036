"""A result: one task × scores × pipeline as versioned JSON, per query first."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rerankit.bench.batches import Batches
from rerankit.bench.examples import Example
from rerankit.errors import FormatError
from rerankit.files import atomic
from rerankit.looks import Looks
from rerankit.metrics import Evaluation, Hubness
from rerankit.reading import read_json

VERSION = 4
"""The version of the files written; `from_dict` reads this one and all before it."""


@dataclass(frozen=True)
class StageRow:
    """What one stage of the pipeline cost and how good the ranking is after it."""

    stage: str
    evaluation: Evaluation
    seconds: float
    seconds_per_query: float
    peak_ram: int | None
    """Bytes held at once above what was held before the stage."""
    peak_gpu: int | None
    """The same on the GPU; None without one."""
    looks_at: Looks
    """What the stage's answers depended on beyond a query and its candidates."""
    hubness: Hubness | None = None
    """How often items come up after the stage; None in files of version 1 and 2."""


@dataclass(frozen=True)
class PartRow:
    """One part of the task: the first stage's figures, the ceiling at K, and every stage's row."""

    name: str
    group: str | None
    queries: int
    gallery: int
    k: int
    candidates: str
    """SHA-256 of the candidate lists that the pipeline was given."""
    first: Evaluation
    ceiling: Evaluation
    """Figures of the best possible order of the K candidates."""
    stages: tuple[StageRow, ...]
    together: tuple[int, ...] | None = None
    """A number per query: queries with the same one depend on each other. None: every query is on its own, or the
    file is of version 1, which did not say."""
    hubness: Hubness | None = None
    """How often items come up before re-ranking; None in files of version 1 and 2."""
    examples: tuple[Example, ...] = ()
    """The queries that the pipeline moved most."""
    batches: Batches | None = None
    """Figures when the queries are answered in batches; None where that was not asked or makes no difference."""

    @property
    def last(self) -> Evaluation:
        """Figures after the whole pipeline."""
        return self.stages[-1].evaluation if self.stages else self.first

    @property
    def looks_at(self) -> Looks:
        """What the pipeline's answers depended on beyond a query and its candidates."""
        return Looks.union(row.looks_at for row in self.stages)


@dataclass(frozen=True)
class Result:
    """A whole run."""

    task: Mapping[str, Any]
    scores: Mapping[str, Any]
    pipeline: Mapping[str, Any]
    settings: Mapping[str, Any]
    parts: tuple[PartRow, ...]
    summary: Mapping[str, Any]
    """"first", "ceiling" and "last": figures of the task; "stages": the same after each stage."""
    environment: Mapping[str, Any]
    key: str
    """SHA-256 of everything that decides the outcome; a finished run with the same key is not repeated."""
    date: str = ""
    tuning: Mapping[str, Any] | None = None
    version: int = field(default=VERSION)

    @property
    def looks_at(self) -> Looks:
        """What the pipeline's answers depended on beyond a query and its candidates."""
        return Looks.union(part.looks_at for part in self.parts)

    @property
    def seconds(self) -> float:
        """Seconds that re-ranking took, over all parts."""
        return sum(row.seconds for part in self.parts for row in part.stages)

    @property
    def label(self) -> str:
        """The name by which tables show the pipeline."""
        return str(self.pipeline["label"])

    def part(self, name: str) -> PartRow:
        """A part by its name."""
        return next(part for part in self.parts if part.name == name)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        rest = asdict(replace(self, parts=()))
        known = {"looks_at": list(self.looks_at.names), "seconds": self.seconds}
        return {**rest, **known, "parts": [part_to_dict(part) for part in self.parts]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """What `to_dict` gave, in this or an earlier version."""
        known = dict(data)
        for name in ("looks_at", "flags", "seconds"):  # they follow from the parts; "flags" is of version 1 to 3
            known.pop(name, None)
        known["parts"] = tuple(part_from_dict(part) for part in known["parts"])
        return cls(**known)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the JSON file, whole or not at all."""
        target = Path(path)
        with atomic(target) as temporary:
            temporary.write_text(json.dumps(self.to_dict()) + "\n", encoding="utf-8")
        return target

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Result:
        """Read a result of this version or an earlier one."""
        file = Path(path)
        data = read_json(file, dict)
        version = data.get("version")
        if not isinstance(version, int) or not 1 <= version <= VERSION:
            raise FormatError(f"{file}: must be a result of version 1 to {VERSION} (got version {version!r})")
        try:
            return cls.from_dict(data)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as cause:
            raise FormatError(f"{file}: not a complete result ({type(cause).__name__}: {cause})") from cause


def part_to_dict(part: PartRow) -> dict[str, Any]:
    """A part as JSON takes it."""
    plain: dict[str, Any] = {
        name: getattr(part, name) for name in ("name", "group", "queries", "gallery", "k", "candidates", "together")
    }
    return {
        **plain,
        "first": part.first.to_dict(),
        "ceiling": part.ceiling.to_dict(),
        "hubness": None if part.hubness is None else part.hubness.to_dict(),
        "examples": [each.to_dict() for each in part.examples],
        "batches": None if part.batches is None else part.batches.to_dict(),
        "stages": [_stage_to_dict(row) for row in part.stages],
    }


def part_from_dict(data: Mapping[str, Any]) -> PartRow:
    """What `part_to_dict` gave, in this or an earlier version."""
    known = dict(data)
    first, ceiling = (Evaluation.from_dict(known.pop(name)) for name in ("first", "ceiling"))
    together, hubness, batches = (known.pop(name, None) for name in ("together", "hubness", "batches"))
    return PartRow(
        stages=tuple(_stage_from_dict(row) for row in known.pop("stages")),
        examples=tuple(Example.from_dict(each) for each in known.pop("examples", ())),
        **known,
        first=first,
        ceiling=ceiling,
        together=None if together is None else tuple(together),
        hubness=None if hubness is None else Hubness.from_dict(hubness),
        batches=None if batches is None else Batches.from_dict(batches),
    )


def _stage_to_dict(row: StageRow) -> dict[str, Any]:
    hubness = None if row.hubness is None else row.hubness.to_dict()
    looks_at = list(row.looks_at.names)
    return {**vars(row), "evaluation": row.evaluation.to_dict(), "looks_at": looks_at, "hubness": hubness}


def _stage_from_dict(data: Mapping[str, Any]) -> StageRow:
    known = dict(data)
    hubness = known.get("hubness")
    before = {name: known.pop(name, False) for name in ("transductive", "bank", "labels")}  # of version 1 to 3
    names = known.pop("looks_at", None)
    former = Looks(before["transductive"], before["bank"], before["labels"])
    return StageRow(
        **{
            **known,
            "looks_at": former if names is None else Looks.of(names),
            "evaluation": Evaluation.from_dict(data["evaluation"]),
            "hubness": None if hubness is None else Hubness.from_dict(hubness),
        }
    )
