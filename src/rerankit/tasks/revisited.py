"""Revisited Oxford and Paris: buildings, in an easy, a medium and a hard setting."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import to_numpy
from rerankit.errors import FormatError, InputError, brief
from rerankit.reading import read_json, read_pickle
from rerankit.relevance import Relevance
from rerankit.tasks.base import Benchmark, Card, DataFile, Matrix, Part, Task, checksum_of, counted, located
from rerankit.tasks.files import field

METRICS = ("map_trapezoid", "precision_found@1", "precision_found@5", "precision_found@10")
# What is right and what is left out in each setting.
SETTINGS = {
    "easy": (("easy",), ("junk", "hard")),
    "medium": (("easy", "hard"), ("junk",)),
    "hard": (("hard",), ("junk", "easy")),
}


def _card(name: str, title: str) -> Card:
    return Card(
        name=name,
        title=title,
        citation="Radenović et al., Revisiting Oxford and Paris: large-scale image retrieval benchmarking, CVPR 2018",
        licence="annotations: no licence stated; pictures under Flickr's terms",
        revision="2018",
        split="test",
        direction="query picture to gallery pictures",
        metrics=METRICS,
        main="medium/map_trapezoid",
        url="http://cmp.felk.cvut.cz/revisitop/",
        notes="queries without a right picture in a setting are left out of it; rows follow qimlist, columns imlist",
    )


class ROxford(Task):
    """One matrix, three parts. queries, gallery: how many pictures there must be (None: any number)."""

    card: ClassVar[Card] = _card("roxford5k", "Revisited Oxford")
    stem: ClassVar[str] = "gnd_roxford5k"

    def __init__(self, queries: int | None = 70, gallery: int | None = 4993) -> None:
        self.queries, self.gallery = queries, gallery

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The ground truth, a pickle (only lists, texts, numbers and arrays are unpickled)."""
        return (DataFile(f"{self.stem}.pkl", "ground truth (or the same as .json)"),)

    def load(self, data: str | Path) -> Benchmark:
        """Read the ground truth, from JSON when there is one."""
        as_json = Path(data) / f"{self.stem}.json"
        return self.read(Path(data)) if as_json.is_file() else super().load(data)

    def read(self, data: Path) -> Benchmark:
        """The three settings."""
        as_json = data / f"{self.stem}.json"
        path = as_json if as_json.is_file() else located(data, self.files[0].path)
        content = read_json(path, dict) if path.suffix == ".json" else read_pickle(path)
        queries, gallery, truth = (field(content, name, path, 0) for name in ("qimlist", "imlist", "gnd"))
        for wanted, found, what in ((self.queries, queries, "queries"), (self.gallery, gallery, "gallery pictures")):
            counted(path, what, wanted, len(found))
        counted(path, "entries in gnd, one per query", len(queries), len(truth))
        # Five queries show one building each time and have the same right pictures: all_souls_000013, all_souls_…
        buildings = [re.sub(r"_\d+$", "", str(name)) for name in queries]
        parts = tuple(Part(name, _relevance(truth, name, len(gallery), path), together=buildings) for name in SETTINGS)
        matrix = Matrix([str(name) for name in queries], [str(name) for name in gallery])
        return Benchmark(self, {"scores": matrix}, parts, self.checksum(data), empty="skip")

    def checksum(self, data: Path) -> str:
        """Over the ground truth that is read: as JSON when there is one."""
        as_json = DataFile(f"{self.stem}.json", "ground truth")
        return checksum_of((as_json,), data) if (data / as_json.path).is_file() else super().checksum(data)

    def write_miniature(self, data: Path, seed: int = 0) -> ROxford:
        """Made-up names: five queries against twenty pictures; the last query has nothing hard."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        truth = []
        for row in range(5):
            items = rng.permutation(20).tolist()
            truth.append(
                {
                    "bbx": [0.0, 0.0, 10.0, 10.0],
                    "easy": items[:3],
                    "hard": items[3:5] if row < 4 else [],
                    "junk": items[5:7],
                }
            )
        content = {
            "gnd": truth,
            "imlist": [f"made_{n:06d}" for n in range(20)],
            "qimlist": [f"tower_{n // 2}_{n:06d}" for n in range(5)],
        }
        data.mkdir(parents=True, exist_ok=True)
        (data / f"{self.stem}.pkl").write_bytes(pickle.dumps(content, protocol=2))
        return type(self)(5, 20)


class RParis(ROxford):
    """The same for Paris."""

    card: ClassVar[Card] = _card("rparis6k", "Revisited Paris")
    stem: ClassVar[str] = "gnd_rparis6k"

    def __init__(self, queries: int | None = 70, gallery: int | None = 6322) -> None:
        super().__init__(queries, gallery)


def _relevance(truth: Any, setting: str, gallery: int, path: Path) -> Relevance:
    right, left_out = SETTINGS[setting]
    items, excluded = [], []
    for row, entry in enumerate(truth):
        items.append(_joined(entry, right, path, row))
        excluded.append(_joined(entry, left_out, path, row))
    return Relevance.from_lists(items, gallery, exclude=excluded)


def _joined(entry: Any, names: tuple[str, ...], path: Path, row: int) -> list[int]:
    found: set[int] = set()
    for name in names:
        try:
            items = to_numpy(field(entry, name, path, row), name)
        except InputError as cause:
            raise FormatError(f"{path}: entry {row}: {cause}") from cause
        if items.size and items.dtype.kind not in "iu":
            raise FormatError(f"{path}: '{name}' of entry {row} must be numbers of pictures (got {brief(items)[:80]})")
        found.update(items.ravel().tolist())
    return sorted(found)
