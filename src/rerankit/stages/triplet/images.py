"""Pictures to pixels: reading, checking, and the published preprocessing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rerankit import checks
from rerankit.extras import require
from rerankit.features import Pictures
from rerankit.pictures import UnreadableImageError, open_image

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def checksum(given: Any) -> str:
    """What a picture is, as text: SHA-256 of its file's bytes, or of its pixels."""
    digest = hashlib.sha256()
    if isinstance(given, (str, os.PathLike)):
        digest.update(Path(given).read_bytes())
        return digest.hexdigest()
    picture = open_image(given, "picture")
    digest.update(f"{picture.size}".encode())
    digest.update(picture.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class ImageTransform:
    """A picture to normalised pixels (3, size, size).

    `pad` "target" widens the short side with black until no side is more than `ratio` times the other, then
    resizes and crops the middle (the published preprocessing); "none" squeezes the picture into the square.

    >>> import numpy as np
    >>> ImageTransform(8)(np.zeros((4, 12, 3), np.uint8)).shape
    torch.Size([3, 8, 8])
    """

    size: int = 384
    pad: str = "target"
    ratio: float = 1.25

    def __post_init__(self) -> None:
        checks.choice("pad", self.pad, ("target", "none"))

    def __call__(self, given: Any, where: str = "picture") -> Tensor:
        pil = require("PIL.Image", extra="triplet", purpose="reading images")
        picture = open_image(given, where)
        if self.pad == "none":
            picture = picture.resize((self.size, self.size), pil.Resampling.BICUBIC)
        else:
            picture = self._crop(pil, self._padded(pil, picture))
        pixels = np.asarray(picture, np.float32) / 255
        normal = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
        return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1)))

    def _padded(self, pil: Any, picture: Any) -> Any:
        width, height = picture.size
        if max(width, height) / min(width, height) < self.ratio:
            return picture
        least = max(width, height) / self.ratio
        across, down = max(0, int((least - width) / 2)), max(0, int((least - height) / 2))
        canvas = pil.new("RGB", (width + 2 * across, height + 2 * down))
        canvas.paste(picture, (across, down))
        return canvas

    def _crop(self, pil: Any, picture: Any) -> Any:
        width, height = picture.size
        scale = self.size / min(width, height)
        width, height = max(self.size, round(width * scale)), max(self.size, round(height * scale))
        picture = picture.resize((width, height), pil.Resampling.BICUBIC)
        left, top = (width - self.size) // 2, (height - self.size) // 2
        return picture.crop((left, top, left + self.size, top + self.size))


def unreadable(images: Pictures, rows: Sequence[int], kind: str) -> Iterator[tuple[int, UnreadableImageError]]:
    """Every row among `rows` whose picture cannot be decoded, with its error."""
    for row in rows:
        try:
            open_image(images[row], f"{kind} {row}")
        except UnreadableImageError as error:
            yield row, error
