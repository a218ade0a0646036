"""Pictures of items: opened from whatever they are given as, made small, and put into a page."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.errors import InputError
from rerankit.extras import require

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_BACKGROUND = (235, 235, 235)


class UnreadableImageError(InputError):
    """A picture that cannot be read; the message names the file and the row."""


def open_image(given: Any, where: str) -> Any:
    """A PIL picture in RGB from a path, a PIL picture, or an array or tensor (height, width, 3) of bytes.

    `where` names the row in the error, such as "candidate 12".
    """
    pil = require("PIL.Image", extra="report", purpose="reading images")
    if isinstance(given, (str, os.PathLike)):
        return _read(pil, Path(given), where)
    if isinstance(given, pil.Image):
        return given.convert("RGB")
    array = np.asarray(given)
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise UnreadableImageError(f"{where} is no picture (got {type(given).__name__} of shape {array.shape})")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise UnreadableImageError(f"{where}: a floating-point picture must lie in 0…1")
        array = (array * 255).round().astype(np.uint8)
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise UnreadableImageError(f"{where}: a picture of whole numbers must have them in 0…255 (got {array.dtype})")
    return pil.fromarray(np.ascontiguousarray(array.astype(np.uint8)))


def _read(pil: Any, path: Path, where: str) -> Any:
    try:
        with pil.open(path) as picture:
            return picture.convert("RGB")
    except FileNotFoundError as cause:
        raise UnreadableImageError(f"{where}: image file '{path}' does not exist") from cause
    except Exception as cause:  # PIL raises anything from OSError to SyntaxError on broken files
        raise UnreadableImageError(f"{where}: image file '{path}' cannot be read: {cause}") from cause


def thumbnail(picture: Any, size: int) -> Any:
    """The whole of a PIL picture inside a square of `size` pixels; small ones are enlarged, each pixel to a block."""
    pil = require("PIL.Image", extra="report", purpose="drawing pictures")
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    square = pil.new("RGB", (size, size), _BACKGROUND)
    method = pil.Resampling.NEAREST if scale > 2 else pil.Resampling.LANCZOS
    square.paste(picture.resize((width, height), method), ((size - width) // 2, (size - height) // 2))
    return square


def data_uri(picture: Any, size: int) -> str:
    """A PIL picture, made small, as text that a page can hold."""
    buffer = io.BytesIO()
    small = thumbnail(picture, size)
    if max(picture.size) * 2 < size:  # a drawing of few pixels: exact, and small
        small.save(buffer, "PNG", optimize=True)
        kind = "png"
    else:
        small.save(buffer, "JPEG", quality=80)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
