"""ECCV Caption, CxC and the original captions on COCO 5K, and PMRP: one matrix, four readings of what is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from rerankit import checks
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.metrics import Evaluation
from rerankit.reading import read_json
from rerankit.reading.npy_arrays import map_npy
from rerankit.relevance import Relevance
from rerankit.tasks.base import Benchmark, Card, DataFile, Matrix, Part, Task, grouped, located, refuse
from rerankit.tasks.files import fields, write_json

Judgements = dict[int, list[int]]
RECALLS = ("success@1", "success@5", "success@10")
ECCV = ("success@1", "map_at_r", "r_precision")
_PM = ("pm_image_to_caption.json", "pm_caption_to_image.json")
_SETS = {"coco": ("original", RECALLS), "cxc": ("cxc", RECALLS), "eccv": ("eccv", ECCV)}


class EccvCaption(Task):
    """5,000 pictures × 25,000 captions of COCO 5K under extended judgements, both directions.

    source: "package" reads the judgements of the package eccv-caption, "files" the same files from the data
    folder. PMRP is added when its two files are in the data folder (they are not in the package).
    """

    card: ClassVar[Card] = Card(
        name="eccv-caption",
        title="ECCV Caption, CxC and PMRP on MS-COCO 5K",
        citation="Chun et al., ECCV Caption: correcting false negatives by collecting machine-and-human-verified "
        "image-caption associations for MS-COCO, ECCV 2022; Parekh et al., Crisscrossed Captions, EACL 2021; "
        "Chun et al., Probabilistic embeddings for cross-modal retrieval, CVPR 2021",
        licence="MIT (judgements); captions CC BY 4.0",
        revision="eccv-caption 0.1.0",
        split="test",
        direction="both",
        metrics=ECCV,
        main="eccv/map_at_r",
        url="https://github.com/naver-ai/eccv-caption",
        notes="captions that were judged but are not among the 25,000 cannot be found and are not counted (2 in ECCV)",
    )

    def __init__(self, source: Literal["package", "files"] = "package") -> None:
        self.source = checks.choice("source", source, ("package", "files"))

    @property
    def files(self) -> tuple[DataFile, ...]:
        """PMRP's two, and with source="files" the judgements and the order of the captions."""
        inner = [f"{stem}_{way}.json" for stem, _ in _SETS.values() for way in ("image_to_caption", "caption_to_image")]
        own = tuple(DataFile(name, "judgements by id") for name in inner) if self.source == "files" else ()
        ids = (DataFile("coco_test_ids.npy", "caption ids in their order"),) if self.source == "files" else ()
        return (*own, *ids, *(DataFile(name, "plausible matches, for PMRP", optional=True) for name in _PM))

    def read(self, data: Path) -> Benchmark:
        """Both directions under every set of judgements."""
        folder = data if self.source == "files" else _package_data()
        captions = map_npy(folder / "coco_test_ids.npy", "coco_test_ids").astype(np.int64)
        owners = _judgements(folder / "original_caption_to_image.json")
        lost = [caption for caption in captions.tolist() if not owners.get(caption)]
        if lost:
            raise FormatError(f"{folder}: must say the picture of every caption (got {len(lost)} without)")
        images = np.array(list(dict.fromkeys(owners[caption][0] for caption in captions.tolist())))
        owner = [owners[caption][0] for caption in captions.tolist()]
        parts: list[Part] = []
        for name, (stem, metrics) in _SETS.items():
            paths = (folder / f"{stem}_image_to_caption.json", folder / f"{stem}_caption_to_image.json")
            parts += _parts(name, paths, images, captions, metrics, owner)
        plausible = tuple(located(data, name) for name in _PM)
        if all(path.is_file() for path in plausible):
            parts += _parts("pm", plausible, images, captions, ("r_precision",), owner)
        return Benchmark(
            self, {"scores": Matrix(images.tolist(), captions.tolist())}, tuple(parts), self.checksum(data)
        )

    def checksum(self, data: Path) -> str:
        """Over the package's files when they are the source."""
        return super().checksum(data) if self.source == "files" else EccvCaption("files").checksum(_package_data())

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """Figures per set and direction, and for each set the mean of the two directions."""
        figures = grouped(results, parts)
        for name in dict.fromkeys(part.name.partition("/")[0] for part in parts):
            for metric in next(iter(results[part.name] for part in parts if part.name.startswith(f"{name}/"))):
                ways = [figures[f"{name}/{way}/{metric}"] for way in ("image-to-text", "text-to-image")]
                figures[f"{name}/{metric}"] = float(np.mean(ways))
        return figures

    def write_miniature(self, data: Path, seed: int = 0) -> EccvCaption:
        """Six pictures, twelve captions and made-up judgements."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        images, captions = np.arange(100, 106), rng.permutation(np.arange(900, 912))
        data.mkdir(parents=True, exist_ok=True)
        np.save(data / "coco_test_ids.npy", captions)
        for stem in ("original", "cxc", "eccv", "pm"):
            right = np.repeat(np.eye(6, dtype=bool), 2, axis=1)
            if stem != "original":
                right |= rng.random(right.shape) < 0.2
            # ECCV judges only some queries.
            rows, columns = (range(0, 6, 2), range(0, 12, 3)) if stem == "eccv" else (range(6), range(12))
            by_image = {str(images[i]): captions[right[i]].tolist() for i in rows}
            by_caption = {str(captions[j]): images[right[:, j]].tolist() for j in columns}
            write_json(data / f"{stem}_image_to_caption.json", by_image)
            write_json(data / f"{stem}_caption_to_image.json", by_caption)
        return EccvCaption("files")


def _package_data() -> Path:
    # The package's own import warns about a faster JSON reader; only its data files are wanted here.
    spec = find_spec("eccv_caption")
    if spec is None or not spec.submodule_search_locations:
        require("eccv_caption", extra="eccv", purpose="the task 'eccv-caption'")
        raise AssertionError("unreachable: the line above raises")
    return Path(spec.submodule_search_locations[0]) / "data"


def _judgements(path: Path) -> Judgements:
    content = read_json(path, dict)
    unnumbered = [query for query in content if not query.isdecimal()]
    refuse(path, "must have numbers for queries", unnumbered, len(content))
    return {int(query): fields(content, query, path, row, int) for row, query in enumerate(content)}


def _parts(
    name: str,
    paths: Sequence[Path],
    images: np.ndarray[Any, Any],
    captions: np.ndarray[Any, Any],
    metrics: tuple[str, ...],
    owner: Sequence[int],
) -> list[Part]:
    """Both directions under one set of judgements, only the queries that were judged."""
    made = []
    for way, path, queries, gallery in (
        ("image-to-text", paths[0], images, captions),
        ("text-to-image", paths[1], captions, images),
    ):
        judged = _judgements(path)
        rows = [row for row, query in enumerate(queries.tolist()) if query in judged]
        place = {item: column for column, item in enumerate(gallery.tolist())}
        items = [[place[item] for item in dict.fromkeys(judged[int(queries[row])]) if item in place] for row in rows]
        if len(rows) != len(judged):
            raise FormatError(f"{path}: must judge known queries (got {len(judged) - len(rows)} unknown)")
        relevance = Relevance.from_lists(items, len(gallery))
        reverse = way == "text-to-image"
        together = [owner[row] for row in rows] if reverse else None
        queries = np.array(rows, np.int64)
        made.append(
            Part(f"{name}/{way}", relevance, reverse=reverse, queries=queries, metrics=metrics, together=together)
        )
    return made
