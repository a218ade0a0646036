"""CIRCO: composed retrieval on real pictures with several targets per query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.metrics import Evaluation
from rerankit.problem import Problem
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
    counted,
    grouped,
    located,
    refuse,
)
from rerankit.tasks.composed import judged_problem
from rerankit.tasks.files import NAME, Kind, column, field, fields, write_json

_IMAGES = "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"
_PICTURES = "COCO2017_unlabeled/unlabeled2017"


class CIRCO(Task):
    """Queries of a picture and a remark against all 123,403 unlabelled pictures of COCO 2017.

    gallery: how many pictures there must be (None: any number). The test split has no targets: its benchmark
    has no parts, and `rerankit submission write` makes the file that the server scores.
    """

    card: ClassVar[Card] = Card(
        name="circo",
        title="CIRCO, validation",
        citation="Baldrati et al., Zero-shot composed image retrieval with textual inversion, ICCV 2023",
        licence="CC BY-NC 4.0 (annotations); pictures under Flickr's terms",
        revision="1.0 (2023)",
        split="val",
        direction="picture and remark to picture",
        metrics=("map@5", "map@10", "map@25", "map@50"),
        main="map@5",
        url="https://github.com/miccunifi/CIRCO",
        notes="average precision cut at k is divided by min(k, targets); the reference picture stays in the gallery",
    )

    server_files: ClassVar[tuple[ServerFile, ...]] = (ServerFile("circo", 50, card.metrics),)

    def __init__(self, split: str = "val", gallery: int | None = 123_403) -> None:
        self.split, self.gallery = split, gallery

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Queries, and the list of all pictures."""
        return (
            DataFile(f"annotations/{self.split}.json", "queries and targets"),
            DataFile(_IMAGES, "every picture of the gallery"),
        )

    def read(self, data: Path) -> Benchmark:
        """One matrix, one part; on a split without targets no part."""
        annotations, info = (located(data, each.path) for each in self.files)
        queries = read_queries(annotations)
        records = field(read_json(info, dict), "images", info, 0, list)
        gallery = column(records, "id", info, int)
        counted(info, "pictures, the full gallery", self.gallery, len(gallery), ANY_GALLERY)
        place = {image: column for column, image in enumerate(gallery)}
        check_known(annotations, info, "references", [query["reference_img_id"] for query in queries], place)
        parts: tuple[Part, ...] = ()
        if all("gt_img_ids" in query for query in queries):
            targets = [query["gt_img_ids"] for query in queries]
            check_known(annotations, info, "targets", [image for images in targets for image in images], place)
            items = [[place[image] for image in images] for images in targets]
            parts = (Part("circo", Relevance.from_lists(items, len(gallery))),)
        features = {
            "reference": [query["reference_img_id"] for query in queries],
            "text": [query["relative_caption"] for query in queries],
        }
        paths = [f"{_PICTURES}/{name}" for name in column(records, "file_name", info, str)]
        matrix = Matrix([query["id"] for query in queries], gallery, features, {"candidate_path": paths})
        return Benchmark(self, {"scores": matrix}, parts, self.checksum(data))

    def judged(self, data: str | Path) -> tuple[Problem, Relevance]:
        """The split as a problem for training or validation; its size is not asserted."""
        return judged_problem(CIRCO(self.split, None).load(data))

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """The figures under their plain names."""
        return {name.partition("/")[2]: value for name, value in grouped(results, parts).items()}

    def write_miniature(self, data: Path, seed: int = 0) -> CIRCO:
        """Made-up ids: seven queries with one to four targets among sixty pictures."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        gallery = rng.choice(np.arange(1000, 9999), 60, replace=False).tolist()
        queries = []
        for row in range(7):
            reference, *targets = rng.choice(gallery, 2 + row % 4, replace=False).tolist()
            queries.append(
                {
                    "reference_img_id": reference,
                    "target_img_id": targets[0],
                    "relative_caption": f"has {row} of them",
                    "shared_concept": "things",
                    "gt_img_ids": targets,
                    "id": row,
                }
            )
        write_json(data / f"annotations/{self.split}.json", queries)
        images = [{"id": image, "file_name": f"{image:012d}.jpg"} for image in gallery]
        write_json(data / _IMAGES, {"images": images})
        return CIRCO(self.split, len(gallery))


def read_queries(path: Path) -> list[dict[str, Any]]:
    """The queries of an annotation file, their targets each once."""
    queries: list[dict[str, Any]] = []
    for row, entry in enumerate(read_json(path, list)):
        kinds: dict[str, Kind] = {"reference_img_id": int, "relative_caption": str, "id": NAME}
        query = {name: field(entry, name, path, row, kind) for name, kind in kinds.items()}
        if "gt_img_ids" in entry:
            query["gt_img_ids"] = fields(entry, "gt_img_ids", path, row, int)
        queries.append(query)
    targets = [query.get("gt_img_ids", ()) for query in queries]
    twice = [query["id"] for query, own in zip(queries, targets, strict=True) if len(set(own)) < len(own)]
    refuse(path, "must name a target once", twice, len(queries))
    return queries
