"""MSMT17: persons in fifteen cameras, by day and by night."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from rerankit.reading import read_text
from rerankit.tasks import Benchmark, Card, DataFile, Task, located
from rerankit_reid.cross_camera import Sightings, benchmark

_LISTS = ("list_query.txt", "list_gallery.txt")
_NAME = re.compile(r"(?P<thing>\d{4})_\d{3}_(?P<camera>\d{2})_.*\.(jpg|jpeg|png)", re.IGNORECASE)
_LIKE = "0000/0000_000_01_0303morning_0015_0.jpg"


class MSMT17(Task):
    """The test split by its own lists; pictures of the query's person and camera do not take part.

    queries, gallery: how many pictures there must be (None: any number).
    """

    card: ClassVar[Card] = Card(
        name="msmt17",
        title="MSMT17, single query",
        citation="Wei et al., Person transfer GAN to bridge domain gap for person re-identification, CVPR 2018",
        licence="research only; asked of the authors",
        revision="V1",
        split="test",
        direction="query picture to gallery pictures",
        metrics=("map", "success@1", "success@5", "success@10"),
        main="msmt17/map",
        url="https://www.pkuvmc.com/dataset.html",
        notes="success@k are the values of the CMC curve",
    )

    def __init__(self, queries: int | None = 11_659, gallery: int | None = 82_161) -> None:
        self.queries, self.gallery = queries, gallery

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The two lists; pictures are not opened."""
        return tuple(DataFile(name, "lines of a picture's path and a person's number") for name in _LISTS)

    def read(self, data: Path) -> Benchmark:
        """One matrix, one part."""
        queries, gallery = (_listed(located(data, each.path)) for each in self.files)
        return benchmark(self, data, queries, gallery, (self.queries, self.gallery))

    def write_miniature(self, data: Path, seed: int = 0) -> MSMT17:
        """Lists of made-up names: five persons in three cameras."""
        self.check_new(data)
        del seed  # names are all there is
        data.mkdir(parents=True, exist_ok=True)
        for file, cameras in zip(_LISTS, ((1,), (1, 2, 3)), strict=True):
            lines = [
                f"{person:04d}/{person:04d}_{camera:03d}_{camera:02d}_0303morning_0001_0.jpg {person}"
                for person in range(5)
                for camera in cameras
            ]
            (data / file).write_text("\n".join(lines) + "\n")
        return MSMT17(5, 15)


def _listed(file: Path) -> Sightings:
    names = [line.split()[0] for line in read_text(file).splitlines() if line.strip()]
    return Sightings.of(names, _NAME, _LIKE, file)
