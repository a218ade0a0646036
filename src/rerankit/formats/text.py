"""Text files, plain or gzipped, and numbers written so that float32 comes back exactly."""

from __future__ import annotations

import gzip
import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import FormatError, RerankitWarning
from rerankit.reading import read_text


def read_rows(path: Path) -> str:
    """The whole text of a file of lines; a last line without an end is reported, since a cut would look like that."""
    text = read_text(path)
    last = text.splitlines()[-1] if text and text[-1] not in "\r\n" else ""
    if last.strip():
        message = f"{path}: the last line has no end, so the file may have been cut short: {last[:80]!r}"
        warnings.warn(message, RerankitWarning, stacklevel=2)
    return text


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write pieces of text one after the other."""
    with open(path, "wb") as raw:
        if path.suffix == ".gz":
            # No name and no date inside, so the same content gives the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
                _pour(packed, pieces)
        else:
            _pour(raw, pieces)


def _pour(file: BinaryIO | gzip.GzipFile, pieces: Iterable[str]) -> None:
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        text.writelines(pieces)


def numbers(path: Path, texts: list[str], lines: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Texts as finite numbers; the error names the line of the first that is none (`lines`: where each stands)."""
    line = range(1, len(texts) + 1) if lines is None else lines
    try:
        values = np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        bad = next(i for i, text in enumerate(texts) if not is_number(text))
        raise FormatError(f"{path}: line {line[bad]}: '{texts[bad]}' is not a number") from None
    if not np.isfinite(values).all():
        bad = int(np.argmin(np.isfinite(values)))
        raise FormatError(f"{path}: line {line[bad]}: '{texts[bad]}' must be finite")
    return values


def is_number(text: str) -> bool:
    """Whether a text is a number, not-a-number and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def shortest(value: float) -> str:
    """The shortest text that reads back as the same float32, whole numbers without a point.

    >>> shortest(0.1), shortest(2.0)
    ('0.1', '2')
    """
    single = np.float32(value)
    return str(int(single)) if single.is_integer() and abs(single) < 2**24 else str(single)
