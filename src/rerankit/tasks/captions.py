"""Pictures and their captions, from Karpathy's JSON or from plain caption and id files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from rerankit import checks
from rerankit.errors import FormatError
from rerankit.metrics import Evaluation
from rerankit.metrics.lists import IntArray
from rerankit.reading import read_json
from rerankit.relevance import Relevance
from rerankit.tasks.base import (
    Benchmark,
    DataFile,
    Matrix,
    Part,
    Task,
    check_once,
    counted,
    fault,
    grouped,
    located,
    refuse,
)
from rerankit.tasks.files import field, fields, read_lines, write_json

METRICS = ("success@1", "success@5", "success@10", "median_rank", "mean_rank", "rsum")
Layout = Literal["auto", "karpathy", "plain"]
PLAIN_SPLITS = {"val": "dev"}
"""Names of splits in the plain layout where they differ from Karpathy's."""


@dataclass(frozen=True)
class Captioned:
    """Pictures and captions: `owner[c]` is the row of the picture that caption c belongs to."""

    images: tuple[str, ...]
    captions: tuple[str, ...]
    caption_ids: tuple[str, ...]
    owner: IntArray


class CaptionTask(Task):
    """A split of captioned pictures, searched in both directions; the matrix is pictures × captions.

    images: how many pictures the protocol has (None: any number). captions: how many captions of a picture
    count, the first ones (None: all). layout: which files are read. split: "test", or "val" for choosing
    parameters.
    """

    folder: ClassVar[str]
    json_name: ClassVar[str]
    plain_test: ClassVar[str] = "test"
    miniature: ClassVar[tuple[int, int]] = (7, 3)
    """Pictures, and captions of each, of the made-up data."""

    def __init__(
        self, images: int | None, captions: int | None = None, layout: Layout = "auto", split: str = "test"
    ) -> None:
        checks.choice("layout", layout, ("auto", "karpathy", "plain"))
        self.images, self.captions, self.layout, self.split = images, captions, layout, split

    @property
    def plain_split(self) -> str:
        """What the plain files of the split are called."""
        return self.plain_test if self.split == "test" else PLAIN_SPLITS.get(self.split, self.split)

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Karpathy's JSON, or captions and ids as text."""
        plain = f"{self.folder}/{self.plain_split}"
        karpathy = (DataFile(self.json_name, "Karpathy's splits", optional=self.layout == "auto"),)
        texts = (
            DataFile(f"{plain}_caps.txt", "one caption a line", optional=self.layout == "auto"),
            DataFile(
                f"{plain}_ids.txt",
                "the picture of each caption, or one line per picture",
                optional=self.layout == "auto",
            ),
        )
        return {"auto": karpathy + texts, "karpathy": karpathy, "plain": texts}[self.layout]

    def read(self, data: Path) -> Benchmark:
        """Read whichever layout is there."""
        found = self.captioned(data)
        counted(data, "pictures", self.images, len(found.images))
        matrix = Matrix(found.images, found.caption_ids, gallery_features={"text": found.captions})
        return Benchmark(self, {"scores": matrix}, self.parts(found), self.checksum(data))

    def parts(self, found: Captioned) -> tuple[Part, ...]:
        """The evaluations of the protocol: both directions."""
        return directions(found.owner, len(found.images))

    def captioned(self, data: Path) -> Captioned:
        """Pictures and captions of the split."""
        json, caps, ids = (
            located(data, path)
            for path in (
                self.json_name,
                f"{self.folder}/{self.plain_split}_caps.txt",
                f"{self.folder}/{self.plain_split}_ids.txt",
            )
        )
        if self.layout != "plain" and json.is_file():
            return self._cut(read_karpathy(json, self.split), json)
        if not (caps.is_file() and ids.is_file()):
            listed = "".join(f"\n  {each.path}: {each.what}" for each in self.files)
            raise FormatError(f"task '{self.card.name}' found neither of its layouts in '{data}':{listed}")
        return self._cut(read_plain(caps, ids), caps)

    def _cut(self, found: Captioned, path: Path) -> Captioned:
        """Only the first captions of each picture; every picture must have some."""
        counts = np.bincount(found.owner, minlength=len(found.images))
        if not counts.all():
            bare = [found.images[row] for row in np.flatnonzero(counts == 0)]
            raise fault(path, "must have a caption for every picture", bare, len(found.images))
        if self.captions is None:
            return found
        seen: Counter[int] = Counter()
        keep = []
        for row, image in enumerate(found.owner.tolist()):
            seen[image] += 1
            if seen[image] <= self.captions:
                keep.append(row)
        short = [found.images[row] for row in np.flatnonzero(counts < self.captions)]
        refuse(path, f"must have {self.captions} captions for every picture", short, len(found.images))
        return Captioned(
            found.images,
            tuple(found.captions[row] for row in keep),
            tuple(found.caption_ids[row] for row in keep),
            found.owner[keep],
        )

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """Figures per direction, and rSum over both."""
        figures = grouped(results, parts)
        rsums = [value for name, value in figures.items() if name.endswith("/rsum")]
        return {**figures, "rsum": float(sum(rsums))} if rsums else figures

    def write_miniature(self, data: Path, seed: int = 0) -> CaptionTask:
        """Both layouts of a small made-up split, and one picture that belongs to another split."""
        self.check_new(data)
        images, captions = self.miniature
        self._made(data, images + 1, captions, seed)
        return type(self)(images, layout=self.layout, split=self.split)

    def _made(self, data: Path, images: int, captions: int, seed: int) -> None:
        """Both layouts of a made-up split."""
        rng = np.random.default_rng(seed)
        words = ("a", "red", "small", "dog", "boat", "on", "grass", "near", "two", "old")
        records, sentence = [], 0
        for image in range(images):
            own = []
            for _ in range(captions):
                tokens = rng.choice(words, 5).tolist()
                own.append({"raw": " ".join(tokens), "tokens": tokens, "sentid": sentence, "imgid": image})
                sentence += 1
            split = self.split if image < images - 1 else "train"
            name = f"made_{image:04d}.jpg"
            records.append({"filename": name, "imgid": image, "split": split, "sentences": own})
        write_json(data / self.json_name, {"dataset": "made up", "images": records})
        test = [(record["imgid"], each["raw"]) for record in records[:-1] for each in record["sentences"]]  # type: ignore[attr-defined]
        folder = data / self.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.plain_split}_caps.txt").write_text("".join(f"{text}\n" for _, text in test))
        (folder / f"{self.plain_split}_ids.txt").write_text("".join(f"{image}\n" for image, _ in test))


def directions(owner: IntArray, images: int) -> tuple[Part, ...]:
    """Pictures looking for captions, and captions looking for pictures, those of one picture together."""
    relevance = Relevance.from_labels(np.arange(images), owner)  # a picture's own captions are right for it
    return (
        Part("image-to-text", relevance, metrics=METRICS),
        Part("text-to-image", relevance.reversed(), reverse=True, metrics=METRICS, together=owner.tolist()),
    )


def read_karpathy(path: Path, *splits: str) -> Captioned:
    """The pictures of some splits in a JSON of Karpathy's, in its order."""
    content = read_json(path, dict)
    records = field(content, "images", path, 0, list)
    chosen = [record for row, record in enumerate(records) if field(record, "split", path, row, str) in splits]
    if not chosen:
        known = sorted({str(record["split"]) for record in records})
        raise FormatError(f"{path}: must have pictures of split {' or '.join(splits)} (got splits {known})")
    images: list[str] = []
    captions: list[str] = []
    ids: list[str] = []
    owner: list[int] = []
    for row, record in enumerate(chosen):
        images.append(field(record, "filename", path, row, str))
        for sentence in fields(record, "sentences", path, row, dict):
            captions.append(field(sentence, "raw", path, row, str))
            ids.append(str(sentence.get("sentid", len(ids))))
            owner.append(row)
    check_once(path, "a picture", images)
    check_once(path, "a caption", ids)
    return Captioned(tuple(images), tuple(captions), tuple(ids), np.array(owner, np.int64))


def read_plain(captions: Path, ids: Path) -> Captioned:
    """Captions, one a line, and the picture of each; or one picture a line, each with equally many captions."""
    texts, names = read_lines(captions), [name.strip() for name in read_lines(ids)]
    if len(names) != len(texts):
        if not names or len(texts) % len(names) or len(names) > len(texts):
            raise FormatError(
                f"{ids}: must have a line for each of the {len(texts)} captions of {captions.name}, or one per "
                f"picture with equally many captions each (got {len(names)} lines)"
            )
        check_once(ids, "a picture, where it has one line for each,", names)
        names = [name for name in names for _ in range(len(texts) // len(names))]
    rows: dict[str, int] = {}
    owner = np.array([rows.setdefault(name, len(rows)) for name in names], np.int64)
    return Captioned(tuple(rows), tuple(texts), tuple(str(row) for row in range(len(texts))), owner)
