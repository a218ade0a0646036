"""Fashion-IQ: a garment and two remarks on how the wanted one differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from rerankit import checks
from rerankit.metrics import Evaluation
from rerankit.problem import Problem
from rerankit.reading import read_json
from rerankit.relevance import Relevance
from rerankit.tasks.base import Benchmark, Card, DataFile, Matrix, Part, Task, check_known, grouped, located
from rerankit.tasks.composed import judged_problem
from rerankit.tasks.files import column, fields, of_kind, write_json

CATEGORIES = ("dress", "shirt", "toptee")


class FashionIQ(Task):
    """Three categories, each with its own queries, gallery and matrix of scores; figures are averaged.

    gallery: "original" is every picture of the split file, "val" only those that the queries mention (a
    smaller gallery, so figures of the two cannot be compared). The reference picture stays in the gallery.
    """

    card: ClassVar[Card] = Card(
        name="fashion-iq",
        title="Fashion-IQ, validation",
        citation="Wu et al., Fashion IQ: a new dataset towards retrieving images by natural language feedback, "
        "CVPR 2021",
        licence="CDLA-Permissive 1.0 (annotations)",
        revision="captions and image splits of the challenge (2020)",
        split="val",
        direction="picture and remarks to picture",
        metrics=("success@10", "success@50"),
        main="mean",
        url="https://github.com/XiaoxiaoGuo/fashion-iq",
        notes="matrix names are the categories; rows follow the caption file, columns the gallery",
    )

    def __init__(self, gallery: Literal["original", "val"] = "original", split: str = "val") -> None:
        checks.choice("gallery", gallery, ("original", "val"))
        self.gallery, self.split = gallery, split

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Captions and gallery of each category."""
        return tuple(
            each
            for category in CATEGORIES
            for each in (
                DataFile(f"captions/cap.{category}.{self.split}.json", f"queries of {category}"),
                DataFile(f"image_splits/split.{category}.{self.split}.json", f"gallery of {category}"),
            )
        )

    def read(self, data: Path) -> Benchmark:
        """The three categories."""
        matrices, parts = {}, []
        for at, category in enumerate(CATEGORIES):
            captions, split = (located(data, each.path) for each in self.files[2 * at : 2 * at + 2])
            matrix, relevance = self._category(captions, split)
            matrices[category] = matrix
            parts.append(Part(category, relevance, matrix=category, together=matrix.query_features["reference"]))
        return Benchmark(self, matrices, tuple(parts), self.checksum(data))

    def _category(self, captions: Path, split: Path) -> tuple[Matrix, Relevance]:
        queries = read_json(captions, list)
        targets, references = (column(queries, name, captions, str) for name in ("target", "candidate"))
        gallery = [of_kind(name, str, f"entry {row}", split) for row, name in enumerate(read_json(split, list))]
        known = set(gallery)
        for what, names in (("targets", targets), ("references", references)):
            check_known(captions, split, what, names, known)
        if self.gallery == "val":
            used = {*targets, *references}
            gallery = [name for name in gallery if name in used]
        place = {name: column for column, name in enumerate(gallery)}
        relevance = Relevance.from_lists([[place[name]] for name in targets], len(gallery))
        features = {
            "reference": references,
            "text": [fields(query, "captions", captions, row, str) for row, query in enumerate(queries)],
        }
        return Matrix(range(len(queries)), gallery, features), relevance

    def judged(self, data: str | Path) -> tuple[Problem, Relevance]:
        """The three categories as one problem for training or validation."""
        return judged_problem(self.load(data))

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """Per category, the mean over categories, and the mean of both cut-offs."""
        figures = grouped(results, parts)
        for metric in self.card.metrics:
            figures[f"mean/{metric}"] = float(np.mean([figures[f"{part.name}/{metric}"] for part in parts]))
        figures["mean"] = float(np.mean([figures[f"mean/{metric}"] for metric in self.card.metrics]))
        return figures

    def write_miniature(self, data: Path, seed: int = 0) -> FashionIQ:
        """A few made-up garments and remarks per category."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        remarks = ("is darker", "has longer sleeves", "is striped", "has no collar", "is more formal")
        for at, category in enumerate(CATEGORIES):
            names = [f"B{category[:2].upper()}{n:05d}" for n in range(12 + at)]
            queries: list[dict[str, Any]] = []
            for _ in range(5 + at):
                target, candidate = rng.choice(len(names) - 3, 2, replace=False).tolist()
                pair = rng.choice(remarks, 2, replace=False).tolist()
                queries.append({"target": names[target], "candidate": names[candidate], "captions": pair})
            write_json(data / f"captions/cap.{category}.{self.split}.json", queries)
            write_json(data / f"image_splits/split.{category}.{self.split}.json", names)
        return FashionIQ(self.gallery, self.split)
