"""MS-COCO captions: the 5K test split whole, and as five folds of 1K."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from rerankit.errors import InputError
from rerankit.tasks.base import Card, Part
from rerankit.tasks.captions import METRICS, Captioned, CaptionTask, Layout, directions

_CITATION = "Lin et al., Microsoft COCO: common objects in context, ECCV 2014; split of Karpathy and Fei-Fei, CVPR 2015"


def _card(name: str, title: str, notes: str) -> Card:
    return Card(
        name=name,
        title=title,
        citation=_CITATION,
        licence="captions CC BY 4.0; pictures under Flickr's terms",
        revision="Karpathy's splits (2015)",
        split="test",
        direction="both",
        metrics=METRICS,
        main="rsum",
        url="https://cs.stanford.edu/people/karpathy/deepimagesent/",
        notes=notes,
    )


class Coco5K(CaptionTask):
    """5,000 pictures with five captions each, both directions.

    Some pictures have six or seven captions in the dataset; the protocol takes the first five.
    """

    card: ClassVar[Card] = _card("coco-5k", "MS-COCO, 5K test", "the first five captions of a picture count")
    folder = "coco_precomp"
    json_name = "dataset_coco.json"
    plain_test = "testall"
    miniature = (10, 6)  # five of the six captions count

    def __init__(
        self,
        images: int | None = 5000,
        captions: int | None = 5,
        layout: Layout = "auto",
        split: str = "test",
    ) -> None:
        super().__init__(images, captions, layout, split)


class Coco1K(Coco5K):
    """The same pictures in five folds, one after the other, each with its own captions; figures are averaged."""

    card: ClassVar[Card] = _card("coco-1k", "MS-COCO, 1K test, mean of 5 folds", "folds are consecutive fifths")
    folds: ClassVar[int] = 5

    def parts(self, found: Captioned) -> tuple[Part, ...]:
        """Both directions of every fold."""
        if len(found.images) % self.folds:
            raise InputError(f"'images' must be a multiple of {self.folds} for the folds (got {len(found.images)})")
        size = len(found.images) // self.folds
        parts = []
        for fold in range(self.folds):
            images = np.arange(fold * size, (fold + 1) * size)
            captions = np.flatnonzero((found.owner >= images[0]) & (found.owner <= images[-1]))
            for each in directions(found.owner[captions] - images[0], size):
                queries, gallery = (captions, images) if each.reverse else (images, captions)
                name = f"{each.name}, fold {fold + 1}"
                parts.append(replace(each, name=name, group=each.name, queries=queries, gallery=gallery))
        return tuple(parts)
