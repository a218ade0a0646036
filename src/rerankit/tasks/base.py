"""What a benchmark task is: data. Its files, its protocol, and where each comes from."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import BoolArray
from rerankit.errors import FormatError, InputError, rule, several
from rerankit.files import check_place
from rerankit.metrics import Evaluation, evaluate
from rerankit.metrics.evaluation import Empty
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance


@dataclass(frozen=True)
class DataFile:
    """A file (or folder) of the dataset, relative to the data folder, named as the dataset names it."""

    path: str
    what: str
    optional: bool = False
    counted: bool = True
    """Whether it is part of the data's checksum (annotations are, large features are not)."""


@dataclass(frozen=True)
class Card:
    """Where a task comes from and how it is scored."""

    name: str
    title: str
    citation: str
    licence: str
    revision: str
    split: str
    direction: str
    metrics: tuple[str, ...]
    main: str
    """The summary figure that decides, such as ``"text-to-image/success@1"``."""
    url: str = ""
    notes: str = ""


@dataclass(frozen=True)
class ServerFile:
    """A file that a test server scores: a JSON object with a header and, for each query, `length` names."""

    name: str
    length: int
    metrics: tuple[str, ...]
    """What can be evaluated from such a file, on a split whose right answers are known."""
    what: str = "items"
    deep: bool = False
    """Whether its names may stand anywhere in a ranking, so that all of it is needed."""
    header: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Matrix:
    """Scores that a task expects: one row per query id, one column per gallery id.

    `query_features` and `gallery_features` are what stages read besides the scores, by name (read when first used).
    """

    query_ids: Sequence[Any]
    gallery_ids: Sequence[Any]
    query_features: Mapping[str, Any] = field(default_factory=dict)
    gallery_features: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, gallery)."""
        return len(self.query_ids), len(self.gallery_ids)


@dataclass(frozen=True, eq=False)
class Part:
    """One evaluation: some queries of one matrix against some of its gallery.

    `relevance` is (queries, gallery) of the part itself, after `reverse` (the matrix is read transposed) and
    after `queries` and `gallery` (rows and columns of the matrix as it is then read; None: all of them).
    Parts of one `group` are averaged in the summary, such as the folds of a cross-validation. `together` has a label
    for each query: those of one label depend on each other, such as the captions of one picture, and are resampled
    as one (None: every query is on its own). `wrong` says that `relevance` names what is wrong: at best it comes last.
    """

    name: str
    relevance: Relevance
    matrix: str = "scores"
    reverse: bool = False
    queries: np.ndarray[Any, np.dtype[np.int64]] | None = None
    gallery: np.ndarray[Any, np.dtype[np.int64]] | None = None
    subset: Sequence[Sequence[int]] | None = None
    metrics: tuple[str, ...] | None = None
    group: str | None = None
    together: Sequence[Any] | None = None
    wrong: bool = False

    @property
    def title(self) -> str:
        """The name under which the summary shows it."""
        return self.group or self.name


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A task's data as loaded: the matrices it wants scored and the parts that are evaluated."""

    task: Task
    matrices: Mapping[str, Matrix]
    parts: tuple[Part, ...]
    checksum: str = ""
    empty: Empty = "error"
    extras: Mapping[str, Any] = field(default_factory=dict)
    """Anything else a task wants to keep with its data (captions, image names)."""

    def problem(self, part: Part, matrix: Problem) -> Problem:
        """The part's own problem out of the problem of its whole matrix, without the items it leaves out."""
        own = matrix.reversed() if part.reverse else matrix
        if part.queries is not None or part.gallery is not None:
            own = own.subset(part.queries, part.gallery)
        return own.excluding(part.relevance.excluded) if len(part.relevance.excluded) else own

    def metrics(self, part: Part) -> tuple[str, ...]:
        """The metrics of a part."""
        return part.metrics or self.task.card.metrics

    def evaluate(self, part: Part, ranked: Any, tail: Any = None, metrics: Sequence[str] | None = None) -> Evaluation:
        """A part's figures from its scores or ranking (and the scores behind the ranking's end)."""
        chosen = self.metrics(part) if metrics is None else tuple(metrics)
        return evaluate(ranked, part.relevance, chosen, empty=self.empty, tail=tail, subset=part.subset)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {m.shape[0]} × {m.shape[1]}" for name, m in self.matrices.items())
        return f"Benchmark({self.task.card.name}: {shapes}; {len(self.parts)} parts)"


class Task(ABC):
    """A benchmark: subclass it with a `card`, the `files` it reads, and `read`.

    Constructor arguments choose variants of the protocol and are stored under their own names.
    """

    card: ClassVar[Card]
    server_files: ClassVar[tuple[ServerFile, ...]] = ()
    """What the benchmark's test server takes (`rerankit.tasks.submission` writes and reads it)."""

    @property
    @abstractmethod
    def files(self) -> tuple[DataFile, ...]:
        """The dataset's own files this task reads, relative to the data folder."""

    @abstractmethod
    def read(self, data: Path) -> Benchmark:
        """Read the files, all of which are there."""

    @abstractmethod
    def write_miniature(self, data: Path, seed: int = 0) -> Task:
        """Write a small made-up dataset in the same layout, and give the task that reads it.

        The layout is the dataset's, the content is not: figures on it mean nothing. A dataset's own files are not
        replaced: call `check_new` first.
        """

    def check_new(self, data: Path) -> None:
        """Refuse a folder that cannot be written, or holds a file of the task: what is made up would replace it."""
        check_place(data / "miniature")
        there = next((each.path for each in self.files if located(data, each.path).is_file()), None)
        if there is not None:
            raise rule("data", f"must not hold files of task '{self.card.name}' yet (it has '{there}')", str(data))

    def load(self, data: str | Path) -> Benchmark:
        """Read the data from a folder; absent files are listed together with all that are expected."""
        folder = Path(data)
        check_files(self, folder)
        try:
            return self.read(folder)
        except OSError as cause:
            raise FormatError(f"{cause.filename or folder}: cannot be read: {cause.strerror or cause}") from cause

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """The task's figures from its parts' evaluations: ``"<part or group>/<metric>"``, groups averaged."""
        return grouped(results, parts)

    def submitted(self, benchmark: Benchmark, ranking: Ranking, file: ServerFile) -> BoolArray | None:
        """Which places of a ranking (queries, K) may go into a server's file; None: all of them."""
        return None

    def draw(self, summaries: Mapping[str, Mapping[str, float]], path: Path) -> bool:
        """Draw the figures of a result next to its file; False for a task that has no picture (this is the default).

        `summaries` are the task's summaries before ("first") and after ("last") re-ranking.
        """
        return False

    def get_params(self) -> dict[str, Any]:
        """The constructor arguments."""
        return dict(vars(self))

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"

    def checksum(self, data: Path) -> str:
        """What `checksum_of` says of the task's files."""
        return checksum_of(self.files, data)


def checksum_of(files: Iterable[DataFile], data: Path) -> str:
    """SHA-256 over the counted files that are there, by name and content; of a folder, over its file names."""
    total = hashlib.sha256()
    for each in files:
        path = located(data, each.path)
        if not each.counted or not path.exists():
            continue
        total.update(each.path.encode())
        if path.is_dir():
            total.update("\n".join(sorted(inner.name for inner in path.iterdir())).encode())
            continue
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                total.update(block)
    return total.hexdigest()


def located(data: Path, path: str) -> Path:
    """A file of the dataset: where its layout has it, else by its name alone in the data folder."""
    exact = data / path
    flat = data / exact.name
    return flat if not exact.exists() and flat.exists() else exact


def check_files(task: Task, data: Path) -> None:
    """All files that are not optional must be there; the error lists every expected file."""
    missing = [each for each in task.files if not each.optional and not located(data, each.path).exists()]
    if not missing:
        return
    lines = [
        f"  {'missing' if each in missing else 'present' if located(data, each.path).exists() else 'absent '} "
        f"{each.path}: {each.what}{' (optional)' if each.optional else ''}"
        for each in task.files
    ]
    where = f" (from {task.card.url})" if task.card.url else ""
    head = f"task '{task.card.name}' needs {len(missing)} more of {len(task.files)} files in '{data}'{where}:"
    raise InputError("\n".join([head, *lines]))


def grouped(results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
    """Figures by ``"<part or group>/<metric>"``, each group the mean of its parts."""
    found: dict[str, list[float]] = {}
    for part in parts:
        for name, value in results[part.name].items():
            found.setdefault(f"{part.title}/{name}", []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def fault(path: str | Path, rule: str, bad: Iterable[Any], total: int | None = None) -> FormatError:
    """The error for entries of a file that break a rule: how many they are, and the first few.

    >>> fault("cap.json", "must name known images", ["a", "b"], 9)
    FormatError("cap.json: must name known images (got 2 of 9 that do not, such as ['a', 'b'])")
    """
    return FormatError(f"{path}: {rule} (got {several('that do not', list(dict.fromkeys(bad)), total)})")


def refuse(path: str | Path, rule: str, bad: Collection[Any], total: int | None = None) -> None:
    """Raise the `fault` where there are entries that break the rule."""
    if bad:
        raise fault(path, rule, bad, total)


def check_once(path: str | Path, what: str, names: Sequence[Any]) -> None:
    """Refuse a file that names `what`, such as "a query", twice."""
    refuse(path, f"must name {what} once", [name for name, times in Counter(names).items() if times > 1], len(names))


def check_known(path: str | Path, gallery: Path, what: str, names: Sequence[Any], known: Container[Any]) -> None:
    """Refuse names that are not in the gallery of another file."""
    lost = [name for name in names if name not in known]
    refuse(path, f"must have {what} that are in the gallery {gallery.name}", lost, len(names))


def counted(path: str | Path, what: str, wanted: int | None, got: int, advice: str = "") -> None:
    """A count that the protocol fixes, unless it is None; `advice` says what to do about another one."""
    if wanted is not None and wanted != got:
        raise FormatError(f"{path}: must hold {wanted} {what} (got {got}){advice and f'; {advice}'}")


ANY_GALLERY = "for another gallery, such as a miniature's, set 'gallery' to its size or null"
"""Advice on a gallery that is not the published one."""
