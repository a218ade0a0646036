"""What the benchmarks share: pictures of somebody or something, looked for among the pictures of other cameras."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit import Relevance
from rerankit.tasks import Benchmark, Matrix, Part, Task, counted, refuse


@dataclass(frozen=True)
class Sightings:
    """Pictures by name, with who or what is on them (its number) and the camera that took them."""

    names: tuple[str, ...]
    things: NDArray[np.int64]
    cameras: NDArray[np.int64]

    @classmethod
    def of(cls, names: Sequence[str], pattern: re.Pattern[str], like: str, where: Path) -> Sightings:
        """From file names; `pattern` has the groups ``thing`` and ``camera``, and `like` is an example of it."""
        found = [pattern.fullmatch(name.rpartition("/")[2]) for name in names]
        bad = [name for name, match in zip(names, found, strict=True) if match is None]
        refuse(where, f"must name pictures like {like}", bad, len(names))
        numbers = [(int(match["thing"]), int(match["camera"])) for match in found if match is not None]
        both = np.array(numbers, np.int64).reshape(-1, 2)
        return cls(tuple(names), both[:, 0], both[:, 1])


def cross_camera(queries: Sightings, gallery: Sightings) -> Relevance:
    """The same thing in another camera is right; the same thing in the query's own camera does not take part.

    >>> here = Sightings(("a",), np.array([7]), np.array([1]))
    >>> there = Sightings(("b", "c", "d"), np.array([7, 7, 8]), np.array([1, 2, 2]))
    >>> found = cross_camera(here, there)
    >>> found.indices.tolist(), found.excluded.columns.tolist()
    ([1], [0])
    """
    same = Relevance.from_labels(queries.things, gallery.things)
    own = queries.cameras[same.rows] == gallery.cameras[same.indices]
    rows, columns = same.rows, same.indices
    return Relevance(rows[~own], columns[~own], same.shape, exclude=(rows[own], columns[own]))


def benchmark(
    task: Task, data: Path, queries: Sightings, gallery: Sightings, wanted: tuple[int | None, int | None]
) -> Benchmark:
    """One matrix and one part, with the cameras as features; queries of one thing are resampled together."""
    for count, found, what in zip(wanted, (queries, gallery), ("queries", "gallery pictures"), strict=True):
        if count is not None:
            counted(data, what, count, len(found.names))
    features: list[dict[str, Any]] = [{"camera": side.cameras} for side in (queries, gallery)]
    matrix = Matrix(queries.names, gallery.names, *features)
    part = Part(task.card.name, cross_camera(queries, gallery), together=queries.things.tolist())
    return Benchmark(task, {"scores": matrix}, (part,), task.checksum(data))
