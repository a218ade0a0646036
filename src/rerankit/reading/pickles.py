"""Pickles of plain data, read without running anything.

Python's own reader calls what a pickle names. Here a name is only a name: it stands for one of the functions of
`rerankit.reading.builders`, which check what they are given, or the file is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.errors import FormatError
from rerankit.files import check_regular
from rerankit.reading.machine import Machine
from rerankit.reading.plain import ContentError
from rerankit.reading.resolved import resolved


def read_pickle(path: Path, *, records: Collection[str] = ()) -> Any:
    """Lists, dictionaries, texts, numbers and arrays in a pickle; anything else is refused, and nothing is run.

    `records` are names of classes, such as "argparse.Namespace" or "*.Vocabulary", whose objects become a `Record`:
    their attributes, without their code. Arrays are read-only.
    """
    data = mapped_bytes(path)
    with faults_of(path, "a pickle of plain data"):
        return resolved(Machine(data, records).run())


def mapped_bytes(path: Path) -> memoryview:
    """The bytes of a file, which stay on the disk until they are used."""
    if check_regular(path).stat().st_size == 0:
        raise FormatError(f"{path}: the file is empty")
    return np.memmap(path, np.uint8, mode="r").data


@contextmanager
def faults_of(path: Path, what: str) -> Iterator[None]:
    """Faults as errors with the file's name."""
    try:
        yield
    except ContentError as fault:
        raise FormatError(f"{path}: not {what}: {fault}") from fault
    except (TypeError, ValueError, OverflowError, MemoryError) as cause:
        raise FormatError(f"{path}: not {what}: {type(cause).__name__}: {cause}") from cause
