"""Folders of shards: which they are, and opening them."""

from __future__ import annotations

from pathlib import Path

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.files import check_inside
from rerankit.mapped import stamp_of
from rerankit.shards.names import in_order, numbered
from rerankit.shards.parts import OPENERS, is_dataset, open_part
from rerankit.shards.shards import Shards

Stamp = tuple[str, int, int]


def is_shards(folder: Path) -> bool:
    """Whether a folder holds shards of vectors: files of one kind whose names differ by a number alone, from 0 or 1 on,
    and no others of a kind that holds arrays.
    """
    found = _files(folder)
    names = [each for file in found if (each := numbered(file)) is not None]
    alike = len(names) == len(found) and len({(each.stem, each.file.suffix) for each in names}) == 1
    return alike and (min(each.number for each in names) < 2 or names[0].total is not None)


def open_shards(folder: Path, start: int | None = None) -> Shards:
    """The vectors of a folder of shards, in the order of their numbers, which begin with `start`, or with 0 or 1."""
    files = _files(folder)
    if not files or any(numbered(file) is None for file in files) or len({file.suffix for file in files}) > 1:
        endings = ", ".join(sorted(OPENERS))
        raise FormatError(f"{folder}: must hold shards, files NAME0, NAME1 … of one kind ({endings})")
    return _opened([each.file for each in in_order(files, start)])


def open_one(path: Path) -> Shards:
    """The vectors of one file."""
    return _opened([path])


def _files(folder: Path) -> list[Path]:
    found = []
    for count, file in enumerate(sorted(folder.iterdir())):
        limits.check(folder, "files", count + 1, "the number of files")
        if file.suffix.lower() in OPENERS and not file.name.startswith(".") and file.is_dir() == is_dataset(file):
            found.append(file)
    return found


def _opened(paths: list[Path]) -> Shards:
    parts = [part for path in paths for part in open_part(check_inside(path, path.parent))]
    if not parts:
        raise FormatError(f"{paths[0]}: has no rows")
    stamps = [(str(path.absolute()), *_stamp_of(path)) for path in paths]
    return Shards(parts, (reopened, (stamps,)))


def reopened(stamps: list[Stamp]) -> Shards:
    """The shards of files that were opened before, in another process perhaps; they must be what they were."""
    for path, size, time in stamps:
        if _stamp_of(Path(path)) != (size, time):
            raise FormatError(f"{path}: is not the file it was: its size or time has changed since")
    return _opened([Path(path) for path, _, _ in stamps])


def _stamp_of(path: Path) -> tuple[int, int]:
    """A file's size and time; of a dataset, those of the folder in which every change is noted."""
    return stamp_of(path / "_versions" if is_dataset(path) else path)
