"""Visual Genome, multi-query: an image is looked for with ten region descriptions, one a round (Drill-down)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit import extras
from rerankit.plots import Theme, save
from rerankit.problem import Problem
from rerankit.reading import read_json
from rerankit.relevance import Relevance
from rerankit.tasks.base import (
    Benchmark,
    Card,
    DataFile,
    Matrix,
    Part,
    Task,
    check_files,
    check_once,
    counted,
    fault,
    refuse,
)
from rerankit.tasks.files import column, field, fields, read_lines
from rerankit.tasks.miniatures.drilldown import World, write_drilldown
from rerankit.tasks.region_files import FEATURES, RegionFeatures

IMAGES = {"val": 5000, "test": 9896}
"""Images of the splits as published: those with at least ten different descriptions."""


class VisualGenome(Task):
    """Searches of ten descriptions, in their order; round t knows the first t. Each image is one search's answer.

    One matrix and one part for each round: all images, every round. images: how many the split has, asserted
    (None: any number). `regions` is the most regions an image may have.
    """

    card: ClassVar[Card] = Card(
        name="visual-genome",
        title="Visual Genome multi-query, test",
        citation="Tan et al., Drill-down: Interactive Retrieval of Complex Scenes using Natural Language Queries, "
        "NeurIPS 2019",
        licence="CC BY 4.0 (Visual Genome)",
        revision="Drill-down splits",
        split="test",
        direction="descriptions to image",
        metrics=("success@1", "success@5", "success@10", "mean_rank"),
        main="round-10/success@1",
        url="https://github.com/uvavision/DrillDown",
        notes="rows and columns follow caches/vg_test.txt; matrix 'round-03' holds the scores after three descriptions",
    )

    def __init__(
        self, split: str = "test", rounds: int = 10, images: int | str | None = "published", regions: int = 36
    ) -> None:
        self.split, self.rounds, self.images, self.regions = split, rounds, images, regions

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The split, the descriptions, the features."""
        return (
            DataFile(f"caches/vg_{self.split}.txt", "image numbers of the split"),
            DataFile("vg/rg_jsons", "descriptions, NUMBER.json for each image"),
            DataFile(FEATURES, "regions, NUMBER.npz or .npy for each image", optional=True, counted=False),
        )

    def read(self, data: Path) -> Benchmark:
        """A matrix and a part for every round."""
        numbers = read_split(data, self.split)
        wanted = IMAGES.get(self.split) if self.images == "published" else self.images
        if isinstance(wanted, int):
            advice = "for another number, such as a miniature's, set 'images' to it or null"
            counted(data / f"caches/vg_{self.split}.txt", "images", wanted, len(numbers), advice)
        texts = read_descriptions(data, numbers, least=self.rounds)
        relevance = Relevance.from_lists([[row] for row in range(len(numbers))], gallery_size=len(numbers))
        matrices, parts = {}, []
        for number in range(1, self.rounds + 1):
            name = self.round_name(number)
            words = {"text": [search[:number] for search in texts]}
            matrices[name] = Matrix(numbers, numbers, words, RegionFeatures(data, numbers, self.regions))
            parts.append(Part(name, relevance, matrix=name))
        return Benchmark(self, matrices, tuple(parts), self.checksum(data), extras={"descriptions": texts})

    def judged(self, data: str | Path) -> tuple[Problem, Relevance]:
        """The split as a problem for training or validation: for training every description, else the first ones.

        The first-stage scores are empty; features are the queries' `text` and the gallery's `regions`.
        """
        folder = Path(data)
        check_files(self, folder)
        numbers = read_split(folder, self.split)
        texts = read_descriptions(folder, numbers, least=self.rounds)
        kept = texts if self.split == "train" else [search[: self.rounds] for search in texts]
        rows = np.arange(len(numbers))[:, None]
        problem = Problem.from_rankings(
            rows,
            np.zeros(rows.shape),
            len(numbers),
            query_ids=numbers,
            gallery_ids=numbers,
            query_features={"text": kept},
            gallery_features=RegionFeatures(folder, numbers, self.regions),
        )
        return problem, Relevance.from_lists(rows.tolist(), gallery_size=len(numbers))

    @staticmethod
    def round_name(number: int) -> str:
        """The name of a round's matrix and part.

        >>> VisualGenome.round_name(3)
        'round-03'
        """
        return f"round-{number:02d}"

    def draw(self, summaries: Mapping[str, Mapping[str, float]], path: Path) -> bool:
        """R@1 over the rounds, before and after; not without matplotlib."""
        if extras.absent("report"):
            return False
        names = {"first": "first stage", "last": "re-ranked"}
        plot_rounds({names.get(name, name): summary for name, summary in summaries.items()}, path)
        return True

    def write_miniature(self, data: Path, seed: int = 0) -> VisualGenome:
        """A dozen made-up scenes; `miniatures.drilldown.write_drilldown` makes more of them."""
        self.check_new(data)
        write_drilldown(data, train=12, val=4, test=12, seed=seed, world=World(objects=max(10, self.rounds)))
        return VisualGenome(self.split, self.rounds, None, self.regions)


def read_split(data: Path, split: str) -> list[int]:
    """The image numbers of a split, in the file's order."""
    path = data / "caches" / f"vg_{split}.txt"
    lines = read_lines(path)
    bad = [line for line in lines if not line.strip().isdigit()]
    if bad or not lines:
        raise fault(path, "must hold image numbers, one a line", bad, len(lines))
    numbers = [int(line) for line in lines]
    check_once(path, "an image", numbers)
    return numbers


def read_descriptions(data: Path, numbers: Sequence[int], *, least: int = 10) -> list[list[str]]:
    """All different descriptions of each image, lower case, in the order of their region numbers."""
    made, short, absent = [], [], []
    for number in numbers:
        path = data / "vg" / "rg_jsons" / f"{number}.json"
        if not path.is_file():
            absent.append(number)
            continue
        regions = fields(read_json(path, dict), "regions", path, 0, dict)
        order = column(regions, "region_id", path, int)
        rows = sorted(range(len(regions)), key=order.__getitem__)
        phrases = [field(regions[row], "phrase", path, row, str).lower() for row in rows]
        made.append(list(dict.fromkeys(phrase for phrase in phrases if phrase.strip())))
        if len(made[-1]) < least:
            short.append(number)
    refuse(data / "vg/rg_jsons", "must have a file for each image", absent, len(numbers))
    refuse(data / "vg/rg_jsons", f"must have {least} different descriptions an image", short, len(numbers))
    return made


def plot_rounds(
    summaries: Mapping[str, Mapping[str, float]],
    path: str | os.PathLike[str],
    metric: str = "success@1",
    title: str = "Visual Genome multi-query",
    theme: str = "light",
) -> Path:
    """A picture of one figure over the rounds, a line for each labelled summary of the task."""
    return save(partial(_draw_rounds, summaries, metric, title), path, (5, 3.4), theme)


def _draw_rounds(
    summaries: Mapping[str, Mapping[str, float]], metric: str, title: str, figure: Any, theme: Theme
) -> None:
    axes = figure.subplots()
    for label, summary in summaries.items():
        found = {name.partition("/")[0]: value for name, value in summary.items() if name.endswith(f"/{metric}")}
        rounds = sorted(found)
        numbers = [int(name.removeprefix("round-")) for name in rounds]
        axes.plot(numbers, [100 * found[name] for name in rounds], marker="o", label=label)
    # Each search has one answer here, for which success@k is what papers call R@k.
    named = f"R@{metric.removeprefix('success@')} ({metric})" if metric.startswith("success@") else metric
    axes.set(xlabel="rounds", ylabel=f"{named}, %", title=title)
    axes.legend()
