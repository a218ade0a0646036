"""Flickr30K, the 1K test split."""

from __future__ import annotations

from typing import ClassVar

from rerankit.tasks.base import Card
from rerankit.tasks.captions import METRICS, CaptionTask, Layout


class Flickr30K(CaptionTask):
    """1,000 pictures and their captions (5 each in the published split), both directions.

    >>> Flickr30K().files[0].path
    'dataset_flickr30k.json'
    """

    card: ClassVar[Card] = Card(
        name="flickr30k",
        title="Flickr30K, 1K test",
        citation="Young et al., From image descriptions to visual denotations, TACL 2014; split of Karpathy and "
        "Fei-Fei, CVPR 2015",
        licence="captions CC BY-SA 3.0; pictures under Flickr's terms",
        revision="Karpathy's splits (2015)",
        split="test",
        direction="both",
        metrics=METRICS,
        main="rsum",
        url="https://cs.stanford.edu/people/karpathy/deepimagesent/",
    )
    folder = "f30k_precomp"
    json_name = "dataset_flickr30k.json"

    def __init__(
        self,
        images: int | None = 1000,
        captions: int | None = None,
        layout: Layout = "auto",
        split: str = "test",
    ) -> None:
        super().__init__(images, captions, layout, split)
