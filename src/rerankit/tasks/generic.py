"""Any scores with any relevance, as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rerankit.errors import FormatError, rule
from rerankit.files import atomic
from rerankit.formats import read
from rerankit.metrics import Evaluation, measure
from rerankit.relevance import Relevance
from rerankit.tasks.base import Benchmark, Card, DataFile, Matrix, Part, Task, counted, grouped, located
from rerankit.tasks.files import read_lines

DEFAULT_METRICS = ("success@1", "success@5", "success@10", "map", "mrr", "ndcg@10")


_CARD = Card(
    name="generic",
    title="Your own scores and relevance",
    citation="none: the data is yours",
    licence="yours",
    revision="by checksum",
    split="yours",
    direction="rows to columns, and back on request",
    metrics=DEFAULT_METRICS,
    main="forward/map",
)


class Generic(Task):
    """Your own data: a file of relevance, and if you like the ids of both sides, one a line.

    relevance: the file's name in the data folder, in any format that `rerankit.read` knows. With qrels, which
    only have names, both id files are needed. both: also search in the other direction.
    """

    def __init__(
        self,
        relevance: str = "relevance.npz",
        metrics: Sequence[str] = DEFAULT_METRICS,
        both: bool = False,
        empty: str = "error",
    ) -> None:
        self.relevance, self.both, self.empty = relevance, both, empty
        self.metrics = tuple(measure(name).name for name in metrics)
        if not self.metrics:
            raise rule("metrics", "must name one metric or more", metrics)

    @property
    def card(self) -> Card:  # type: ignore[override]  # an attribute of tasks whose metrics are given
        """Where it comes from and how it is scored; of the metrics asked for, mAP decides, or else the first."""
        main = "map" if "map" in self.metrics else self.metrics[0]
        return replace(_CARD, metrics=self.metrics, main=f"forward/{main}")

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The relevance and the ids."""
        return (
            DataFile(self.relevance, "what is right for each query"),
            DataFile("query_ids.txt", "one id a line, in the order of the rows", optional=True),
            DataFile("gallery_ids.txt", "one id a line, in the order of the columns", optional=True),
            DataFile(
                "query_groups.txt", "one label a line: queries that depend on each other share one", optional=True
            ),
            DataFile("gallery_groups.txt", "the same for the columns, when they search too", optional=True),
        )

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """Figures per direction, and rSum over both where it is asked for."""
        figures = grouped(results, parts)
        rsums = [value for name, value in figures.items() if name.endswith("/rsum")]
        return {**figures, "rsum": float(sum(rsums))} if len(rsums) > 1 else figures

    def read(self, data: Path) -> Benchmark:
        """One matrix, one or two parts."""
        from rerankit.metrics.evaluation import check_empty

        path, *id_files = (located(data, each.path) for each in self.files[:3])
        ids = [read_lines(file) if file.is_file() else None for file in id_files]
        found = read(path, query_ids=ids[0], gallery_ids=ids[1]) if None not in ids else read(path)
        if isinstance(found, dict):
            if None in ids:
                raise FormatError(f"{path}: qrels need query_ids.txt and gallery_ids.txt in the same folder")
            found = Relevance.from_dict(found, ids[0] or [], ids[1] or [])
        relevance = found if isinstance(found, Relevance) else read(path, "relevance")
        names = [
            list(range(size)) if given is None else given for given, size in zip(ids, relevance.shape, strict=True)
        ]
        if (len(names[0]), len(names[1])) != relevance.shape:
            raise FormatError(f"{path}: must have the shape of the id files ({len(names[0])} × {len(names[1])})")
        together = [
            self._groups(data, each.path, size) for each, size in zip(self.files[3:], relevance.shape, strict=True)
        ]
        parts = [Part("forward", relevance, metrics=self.metrics, together=together[0])]
        if self.both:
            back = relevance.reversed()
            parts.append(Part("reverse", back, reverse=True, metrics=self.metrics, together=together[1]))
        matrix = Matrix(names[0], names[1])
        return Benchmark(self, {"scores": matrix}, tuple(parts), self.checksum(data), empty=check_empty(self.empty))

    @staticmethod
    def _groups(data: Path, name: str, count: int) -> list[str] | None:
        path = located(data, name)
        if not path.is_file():
            return None
        labels = read_lines(path)
        counted(path, "labels, one per row", count, len(labels))
        return labels

    def write_miniature(self, data: Path, seed: int = 0) -> Generic:
        """Six made-up queries and nine items."""
        self.check_new(data)
        from rerankit.formats import write

        rng = np.random.default_rng(seed)
        grades = rng.integers(0, 3, (6, 9)) * (rng.random((6, 9)) < 0.4)
        grades[np.arange(6), rng.integers(0, 9, 6)] = 2
        data.mkdir(parents=True, exist_ok=True)
        write(data / "relevance.npz", Relevance.from_dense(grades.astype(float)))
        for name, prefix, count in (("query_ids.txt", "q", 6), ("gallery_ids.txt", "d", 9)):
            with atomic(data / name) as path:
                path.write_text("".join(f"{prefix}{n}\n" for n in range(count)))
        return Generic()
