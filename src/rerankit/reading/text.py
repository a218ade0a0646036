"""The bytes and the text of files, plain or gzipped, within limits."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import IO

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.files import check_regular

BYTE_ORDER_MARK = "\ufeff"  # some programs begin a text file with it; `read_text` takes it away
_PIECE = 1 << 20


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, unpacked when its name ends in `.gz`; what a cut or a damaged stream gives is refused."""
    check_regular(path)
    pieces, total = [], 0
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as unpacked:
            while piece := unpacked.read(_PIECE):
                pieces.append(piece)
                total += len(piece)
                limits.check_ratio(path, file.tell(), total, "the file")
    except (EOFError, gzip.BadGzipFile, zlib.error) as cause:
        raise FormatError(f"{path}: truncated or not a gzip file: {cause}") from cause
    except OSError as cause:
        raise FormatError(f"{path}: cannot be read: {cause.strerror or cause}") from cause
    return b"".join(pieces)


def read_text(path: Path, most: str | None = None) -> str:
    """The whole text of a file in UTF-8; `most` names the limit of its size."""
    if most is not None:
        limits.check(path, most, check_regular(path).stat().st_size, "the size of the file")
    return decoded(path, read_bytes(path))


def decoded(path: Path, data: bytes) -> str:
    """Bytes as text in UTF-8, without a byte order mark at the beginning."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise FormatError(f"{path}: must be UTF-8 text (byte {cause.start} is not)") from cause


def open_plain(path: Path) -> IO[bytes]:
    """A regular file, opened."""
    return check_regular(path).open("rb")


def first_sentence(error: BaseException) -> str:
    """What an error of another library says, without the advice that some of them go on with.

    >>> first_sentence(ValueError("no end of file. Please report this.\\nStack: …"))
    'no end of file'
    """
    line = (str(error).splitlines() or [""])[0].strip()
    return line.split(". ")[0].rstrip(".") or type(error).__name__
