"""Pictures in requests: data URLs, opened only when they are no larger than is allowed."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rerankit.errors import rule
from rerankit.extras import require
from rerankit.pictures import open_image

_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,", re.ASCII)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


@dataclass(frozen=True)
class SentPicture:
    """A picture as it came: a data URL, or the same without what stands before the base64."""

    url: str
    where: str
    """The field, and the place in it."""

    def content(self) -> bytes:
        """The bytes of its file."""
        head = _DATA_URL.match(self.url)
        if head is None and _ADDRESS.match(self.url):
            text = "must hold pictures as data URLs, data:image/…;base64,…: nothing is fetched from elsewhere"
            raise rule(self.where, text, self.url[:40])
        try:
            return base64.b64decode(self.url[head.end() if head else 0 :], validate=True)
        except (ValueError, binascii.Error) as cause:
            raise rule(self.where, "must hold pictures in base64", str(cause)) from None


def opened(pictures: Sequence[SentPicture], most: int) -> list[Any]:
    """PIL pictures in RGB; `most` pixels may all of them have together, which is known before any is unpacked."""
    pil = require("PIL.Image", extra="report", purpose="reading images")
    found, pixels = [], 0
    for one in pictures:
        file = io.BytesIO(one.content())
        try:
            picture = pil.open(file, formats=_FORMATS)
        except (OSError, ValueError, SyntaxError, pil.DecompressionBombError) as cause:
            raise rule(one.where, f"must hold pictures ({', '.join(_FORMATS)})", type(cause).__name__) from None
        pixels += picture.width * picture.height
        if pixels > most:
            raise rule(one.where, f"must hold pictures of at most {most} pixels together", f"{pixels} up to this one")
        found.append(picture)
    return [_unpacked(picture, one.where) for picture, one in zip(found, pictures, strict=True)]


def _unpacked(picture: Any, where: str) -> Any:
    try:
        return open_image(picture, where)
    except Exception as cause:  # PIL raises anything from OSError to SyntaxError on broken files
        raise rule(where, "must hold whole pictures", f"{type(cause).__name__}: {cause}") from None
