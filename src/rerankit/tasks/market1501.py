"""Market-1501: the same person in another camera."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from rerankit.errors import FormatError
from rerankit.metrics.lists import IntArray
from rerankit.relevance import Relevance
from rerankit.tasks.base import Benchmark, Card, DataFile, Matrix, Part, Task, counted, located, refuse

_NAME = re.compile(r"(-1|\d{4})_c(\d)s\d_\d{6}_\d{2}\.(jpg|jpeg|png)", re.IGNORECASE)
_JUNK = -1


class PictureNames(NamedTuple):
    """File names, sorted, with the person and the camera that they say."""

    names: tuple[str, ...]
    persons: IntArray
    cameras: IntArray


class Market1501(Task):
    """Queries against `bounding_box_test`: person −1 is junk, person 0 distracts, the own camera is left out.

    queries, gallery: how many pictures there must be (None: any number). The matrix has a column for every
    picture of the folder, junk too, in the order of the names.
    """

    card: ClassVar[Card] = Card(
        name="market1501",
        title="Market-1501, single query",
        citation="Zheng et al., Scalable person re-identification: a benchmark, ICCV 2015",
        licence="research only; asked of the authors",
        revision="v15.09.15",
        split="test",
        direction="query picture to gallery pictures",
        metrics=("map", "success@1", "success@5", "success@10"),
        main="market1501/map",
        url="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
        notes="success@k are the values of the CMC curve; items of the query's person and camera do not take part",
    )

    def __init__(self, queries: int | None = 3368, gallery: int | None = 19_732) -> None:
        self.queries, self.gallery = queries, gallery

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The two folders; only the file names are read."""
        return DataFile("query", "folder of query pictures"), DataFile(
            "bounding_box_test", "folder of gallery pictures"
        )

    def read(self, data: Path) -> Benchmark:
        """One matrix, one part."""
        queries, gallery = (pictures(located(data, each.path)) for each in self.files)
        for wanted, found, what in ((self.queries, queries, "queries"), (self.gallery, gallery, "gallery pictures")):
            counted(data, what, wanted, len(found.names))
        kept = np.flatnonzero(gallery.persons != _JUNK)
        relevance = cross_camera(queries, PictureNames((), gallery.persons[kept], gallery.cameras[kept]))
        part = Part("market1501", relevance, gallery=kept, together=queries.persons.tolist())
        cameras = ({"camera": side.cameras} for side in (queries, gallery))
        matrix = Matrix(queries.names, gallery.names, *cameras)
        return Benchmark(self, {"scores": matrix}, (part,), self.checksum(data))

    def write_miniature(self, data: Path, seed: int = 0) -> Market1501:
        """Empty files under made-up names: five persons in three cameras, junk and distractors."""
        del seed  # names are all there is
        self.check_new(data)
        for folder in ("query", "bounding_box_test"):
            (data / folder).mkdir(parents=True, exist_ok=True)
        frames = 0
        for person in range(1, 6):
            (data / "query" / f"{person:04d}_c1s1_{person:06d}_00.jpg").touch()
            for camera in (1, 2, 3):
                frames += 1
                (data / "bounding_box_test" / f"{person:04d}_c{camera}s1_{frames:06d}_01.jpg").touch()
        for frame, other in enumerate(("-1", "-1", "0000", "0000"), 900):
            (data / "bounding_box_test" / f"{other}_c2s1_{frame:06d}_01.jpg").touch()
        return Market1501(5, 19)


def pictures(folder: Path) -> PictureNames:
    """What the names of a folder's pictures say; other files are passed over, misnamed pictures refused."""
    if not folder.is_dir():
        raise FormatError(f"{folder}: must be a folder of pictures")
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    found = [_NAME.fullmatch(name) for name in names]
    bad = [name for name, match in zip(names, found, strict=True) if match is None]
    refuse(folder, "must name pictures like 0001_c1s1_001051_00.jpg", bad, len(names))
    parsed: Sequence[tuple[str, str]] = [(match[1], match[2]) for match in found if match is not None]
    persons = np.array([int(person) for person, _ in parsed], np.int64)
    return PictureNames(tuple(names), persons, np.array([int(camera) for _, camera in parsed], np.int64))


def cross_camera(queries: PictureNames, gallery: PictureNames) -> Relevance:
    """The query's person in other cameras is right; the same person in the same camera is left out."""
    same = Relevance.from_labels(queries.persons, gallery.persons)
    own = queries.cameras[same.rows] == gallery.cameras[same.indices]
    rows, columns = same.rows, same.indices
    return Relevance(rows[~own], columns[~own], same.shape, exclude=(rows[own], columns[own]))
