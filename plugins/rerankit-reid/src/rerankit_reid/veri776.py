"""VeRi-776: vehicles in twenty cameras."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from rerankit.errors import FormatError
from rerankit.tasks import Benchmark, Card, DataFile, Task, located
from rerankit_reid.cross_camera import Sightings, benchmark

_FOLDERS = ("image_query", "image_test")
_NAME = re.compile(r"(?P<thing>\d{4})_c(?P<camera>\d{3})_\d+_\d+\.(jpg|jpeg|png)", re.IGNORECASE)
_LIKE = "0002_c002_00030600_0.jpg"


class VeRi776(Task):
    """The test split's two folders; pictures of the query's vehicle and camera do not take part.

    queries, gallery: how many pictures there must be (None: any number).
    """

    card: ClassVar[Card] = Card(
        name="veri776",
        title="VeRi-776, image to image",
        citation="Liu et al., A deep learning-based approach to progressive vehicle re-identification, ECCV 2016",
        licence="research only; asked of the authors",
        revision="with plates, 2016",
        split="test",
        direction="query picture to gallery pictures",
        metrics=("map", "success@1", "success@5"),
        main="veri776/map",
        url="https://vehiclereid.github.io/VeRi/",
        notes="image to image, not image to track; success@k are the values of the CMC curve",
    )

    def __init__(self, queries: int | None = 1678, gallery: int | None = 11_579) -> None:
        self.queries, self.gallery = queries, gallery

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The two folders; only the file names are read."""
        return tuple(DataFile(name, "folder of pictures") for name in _FOLDERS)

    def read(self, data: Path) -> Benchmark:
        """One matrix, one part."""
        queries, gallery = (_pictures(located(data, each.path)) for each in self.files)
        return benchmark(self, data, queries, gallery, (self.queries, self.gallery))

    def write_miniature(self, data: Path, seed: int = 0) -> VeRi776:
        """Empty files under made-up names: five vehicles in three cameras."""
        self.check_new(data)
        del seed  # names are all there is
        for folder, cameras in zip(_FOLDERS, ((1,), (1, 2, 3)), strict=True):
            (data / folder).mkdir(parents=True, exist_ok=True)
            for vehicle in range(1, 6):
                for camera in cameras:
                    (data / folder / f"{vehicle:04d}_c{camera:03d}_{vehicle:08d}_0.jpg").touch()
        return VeRi776(5, 15)


def _pictures(folder: Path) -> Sightings:
    if not folder.is_dir():
        raise FormatError(f"{folder}: must be a folder of pictures")
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return Sightings.of(names, _NAME, _LIKE, folder)
