"""CIRR: a picture, a remark on how the wanted one differs, and a small set of look-alikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import BoolArray
from rerankit.metrics import Evaluation
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.reading import read_json
from rerankit.relevance import Relevance
from rerankit.tasks.base import (
    ANY_GALLERY,
    Benchmark,
    Card,
    DataFile,
    Matrix,
    Part,
    ServerFile,
    Task,
    check_known,
    check_once,
    counted,
    grouped,
    located,
)
from rerankit.tasks.composed import judged_problem
from rerankit.tasks.files import NAME, column, fields, write_json

GALLERY = {"val": 2297, "test1": 2316}
_SUBSET = "subset_success@1"


class CIRR(Task):
    """Queries of a picture and a remark; the reference picture is left out of its own gallery.

    gallery: how many pictures the split has, asserted (None: any number). The test split has no targets: its
    benchmark has no parts, and `rerankit submission write` makes the two files that the server scores.
    """

    card: ClassVar[Card] = Card(
        name="cirr",
        title="CIRR, validation",
        citation="Liu et al., Image retrieval on real-life images with pre-trained vision-and-language models, "
        "ICCV 2021",
        licence="MIT (annotations)",
        revision="rc2",
        split="val",
        direction="picture and remark to picture",
        metrics=("success@1", "success@5", "success@10", "success@50", _SUBSET, "subset_success@2", "subset_success@3"),
        main="mean of success@5 and subset_success@1",
        url="https://github.com/Cuberick-Orion/CIRR",
        notes="rows follow the caption file, columns the names of the split file in their order",
    )

    server_files: ClassVar[tuple[ServerFile, ...]] = (
        ServerFile(
            "recall",
            50,
            ("success@1", "success@5", "success@10", "success@50"),
            "items other than the reference",
            header={"version": "rc2", "metric": "recall"},
        ),
        ServerFile(
            "recall_subset",
            3,
            (_SUBSET, "subset_success@2", "subset_success@3"),
            "members of its own set other than the reference",
            deep=True,
            header={"version": "rc2", "metric": "recall_subset"},
        ),
    )

    def __init__(self, split: str = "val", gallery: int | str | None = "published") -> None:
        self.split, self.gallery = split, gallery

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Captions and gallery of the split."""
        return (
            DataFile(f"captions/cap.rc2.{self.split}.json", "queries"),
            DataFile(f"image_splits/split.rc2.{self.split}.json", "gallery"),
        )

    def read(self, data: Path) -> Benchmark:
        """One matrix, one part; on a split without targets no part."""
        captions, split = (located(data, each.path) for each in self.files)
        queries, pictures = read_json(captions, list), read_json(split, dict)
        wanted = GALLERY.get(self.split) if self.gallery == "published" else self.gallery
        if isinstance(wanted, int):
            counted(split, "pictures, the full gallery", wanted, len(pictures), ANY_GALLERY)
        place = {name: column for column, name in enumerate(pictures)}
        references = column(queries, "reference", captions, str)
        own = column(queries, "img_set", captions)
        members = [fields(each, "members", captions, row, str) for row, each in enumerate(own)]
        sets = column(own, "id", captions, NAME)
        check_known(captions, split, "references", references, place)
        check_known(captions, split, "subset members", [name for names in members for name in names], place)
        features = {
            "reference": references,
            "text": column(queries, "caption", captions, str),
            # Where the pictures lie under img_raw/: training pictures are spread over folders.
            "reference_path": [str(pictures[name]) for name in references],
        }
        paths = {"candidate_path": [str(path) for path in pictures.values()]}
        ids = column(queries, "pairid", captions, NAME)
        check_once(captions, "a query", ids)
        parts: tuple[Part, ...] = ()
        if all("target_hard" in query for query in queries):
            targets = column(queries, "target_hard", captions, str)
            check_known(captions, split, "targets", targets, place)
            parts = (_part(place, references, targets, members, sets),)
        extras = {"members": members}
        return Benchmark(
            self, {"scores": Matrix(ids, list(pictures), features, paths)}, parts, self.checksum(data), extras=extras
        )

    def judged(self, data: str | Path) -> tuple[Problem, Relevance]:
        """The split as a problem for training or validation; its size is not asserted."""
        return judged_problem(CIRR(self.split, None).load(data))

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """The figures, and the mean by which the field compares."""
        figures = grouped(results, parts)
        own = {name.partition("/")[2]: value for name, value in figures.items()}
        return {**own, self.card.main: (own["success@5"] + own[_SUBSET]) / 2}

    def submitted(self, benchmark: Benchmark, ranking: Ranking, file: ServerFile) -> BoolArray:
        """Anything but the reference; in the subset's file only members of the query's own set."""
        place = {str(name): column for column, name in enumerate(benchmark.matrices["scores"].gallery_ids)}
        references = [place[name] for name in benchmark.matrices["scores"].query_features["reference"]]
        kept: BoolArray = ranking.indices != np.array(references)[:, None]
        if file.name == "recall":
            return kept
        inside = ([place[str(name)] for name in members] for members in benchmark.extras["members"])
        for row, own in enumerate(inside):
            kept[row] &= np.isin(ranking.indices[row], own)
        return kept

    def write_miniature(self, data: Path, seed: int = 0) -> CIRR:
        """A dozen made-up names in sets of six."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        names = [f"dev-{n}-{n % 2}-img{n % 3}" for n in range(60)]
        queries: list[dict[str, Any]] = []
        for row in range(8):
            members = rng.choice(names, 6, replace=False).tolist()
            made = {
                "pairid": 100 + row,
                "reference": members[0],
                "target_hard": members[1 + row % 5],
                "target_soft": {members[1 + row % 5]: 1.0},
                "caption": f"the same with {row} more of them",
                "img_set": {"id": row, "members": rng.permutation(members).tolist()},
            }
            queries.append(made)
        write_json(data / f"captions/cap.rc2.{self.split}.json", queries)
        write_json(data / f"image_splits/split.rc2.{self.split}.json", {name: f"./dev/{name}.png" for name in names})
        return CIRR(self.split, len(names))


def _part(
    place: Mapping[str, int],
    references: Sequence[str],
    targets: Sequence[str],
    members: Sequence[Sequence[str]],
    sets: Sequence[Any],
) -> Part:
    relevance = Relevance.from_lists(
        [[place[name]] for name in targets], len(place), exclude=[[place[name]] for name in references]
    )
    subset = [[place[name] for name in names] for names in members]
    return Part("cirr", relevance, subset=subset, together=sets)
