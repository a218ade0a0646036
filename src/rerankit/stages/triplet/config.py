"""Sizes of the two networks; the defaults are the published ones."""

from __future__ import annotations

from dataclasses import dataclass

from rerankit.errors import rule
from rerankit.values import Plain


@dataclass(frozen=True)
class TripletConfig(Plain):
    """Sizes shared by the filter (stage I), the dual encoder (stage II) and their image encoder.

    >>> TripletConfig(hidden=64, heads=4, layers=4).merge_from
    6
    """

    called = "size"

    vocabulary: int = 30524
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    intermediate: int = 3072
    positions: int = 512
    width: int = 768
    """Width of an image token."""
    projection: int = 256
    merge_from: int = 6
    """First dual-encoder layer that merges its two cross-attentions by a learned layer, not by their mean."""
    dropout: float = 0.1
    norm_eps: float = 1e-12
    image_size: int = 384
    patch_size: int = 16
    vision_layers: int = 12
    vision_heads: int = 12
    vision_intermediate: int = 3072
    vision_norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for width, heads in (("hidden", "heads"), ("width", "vision_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise rule(width, f"must be a multiple of '{heads}'", (getattr(self, width), getattr(self, heads)))
        if self.image_size % self.patch_size:
            raise rule("image_size", "must be a multiple of 'patch_size'", (self.image_size, self.patch_size))

    @property
    def image_tokens(self) -> int:
        """Tokens of one picture: its patches and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1

    @property
    def patch_norm(self) -> float:
        """Length of a patch of pixels of variance 1."""
        return float(3**0.5 * self.patch_size)

    @staticmethod
    def spread(width: int) -> float:
        """Standard deviation of random weights: the published 0.02 at 768 channels, more for narrow networks."""
        return float(0.02 * (768 / width) ** 0.5)
