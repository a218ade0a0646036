"""Which places may be written: what exists is replaced only when asked, and a folder only when all of it is ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from rerankit.errors import InputError, rule
from rerankit.files.manifest import MANIFEST, matches, read_list
from rerankit.files.regular import files_in
from rerankit.files.scratch import clear_leftovers
from rerankit.files.stable import unchanged

CONFIG = "config.json"
"""The file of a saved stage that lists the others."""


def check_free(
    path: str | os.PathLike[str],
    *,
    overwrite: bool,
    argument: str = "path",
    option: str = "overwrite=True",
    kept: tuple[str, ...] = (),
) -> None:
    """Refuse a place that is taken, unless `overwrite` and nothing of somebody else's would be lost.

    A file is replaced when `overwrite` says so. A folder, too, but only if rerankit wrote every file in it and none
    was changed since; `kept` are patterns of files that stay. An empty folder is free. What a killed process was
    about to put there is put there first.
    """
    place = Path(path)
    try:
        _check_free(place, overwrite, argument, option, kept)
    except OSError as cause:  # what may not be looked into may be somebody else's
        raise InputError(f"'{place}' must not be replaced: {cause.filename}: {cause.strerror}") from cause


def _check_free(place: Path, overwrite: bool, argument: str, option: str, kept: tuple[str, ...]) -> None:
    clear_leftovers(place.parent)
    if not os.path.lexists(place) or (place.is_dir() and not any(place.iterdir())):
        return
    if not overwrite:
        raise rule(argument, f"must not exist, unless {option} is given to replace it", str(place))
    if not place.is_dir():
        return
    if Path.cwd().is_relative_to(place.resolve()):
        raise InputError(f"'{place}' is the folder in which this program runs: name a new one")
    # Another process may be replacing it, so that a list of the old folder meets files of the new one.
    found = unchanged(place, lambda: next((file for file in foreign(place) if not _fits(file, place, kept)), None))
    if found is not None:
        raise InputError(
            f"'{place}' has '{found.relative_to(place)}', which rerankit did not write or which was changed since, and "
            "replacing the folder would remove it: name a new folder"
        )


def foreign(folder: Path) -> Iterator[Path]:
    """Every file in a folder and below that rerankit did not write, or that is not what it wrote."""
    known = dict(_known(folder))
    for file in files_in(folder):
        if file not in known or file.is_symlink() or not file.is_file() or not known[file](file):
            yield file


def _known(folder: Path) -> Iterator[tuple[Path, Callable[[Path], bool]]]:
    """Every file that the folder's own lists name, and how to tell whether it is what was written."""
    for marker in (folder / MANIFEST, folder / CONFIG):
        listed = None if marker.is_symlink() else read_list(marker)
        if listed is None:
            continue
        yield marker, lambda _: True
        yield from ((folder / name, partial(matches, expected=expected)) for name, expected in listed.files.items())
        for name in listed.folders:
            if name not in ("", ".", "..") and "/" not in name and not (folder / name).is_symlink():
                yield from _known(folder / name)


def _fits(file: Path, folder: Path, patterns: tuple[str, ...]) -> bool:
    name = file.relative_to(folder).as_posix()
    return not file.is_symlink() and any(fnmatch(name, pattern) for pattern in patterns)
