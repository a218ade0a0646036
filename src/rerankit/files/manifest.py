"""The list of what rerankit wrote into a folder, with a checksum of each file."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerankit.errors import FormatError
from rerankit.files.regular import check_inside, check_regular, files_in
from rerankit.version import __version__

MANIFEST = "rerankit.json"
_PIECE = 1 << 20
_LONGEST = 64_000_000


def write_manifest(folder: Path, kind: str) -> None:
    """Write `rerankit.json` into a folder that was just written: what it is, and every file with size and checksum."""
    files = {file.relative_to(folder).as_posix(): entry(file) for file in files_in(folder)}
    content = {"rerankit": __version__, "kind": kind, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def entry(file: Path, algorithm: str = "crc32") -> dict[str, Any]:
    """What a manifest says of a file."""
    return {"bytes": file.stat().st_size, algorithm: _ALGORITHMS[algorithm](file)}


@dataclass(frozen=True)
class Contents:
    """What a manifest, or the config of a stage, says of its folder: files with checksums, and folders of ours."""

    files: dict[str, Any]
    folders: list[str]


def read_list(marker: Path) -> Contents | None:
    """What a manifest or config lists, or None when rerankit did not write that file."""
    content = _content(marker)
    if not isinstance(content, dict) or "rerankit" not in content:
        return None
    files, folders = content.get("files", {}), content.get("folders", [])
    if not isinstance(files, dict) or not isinstance(folders, list) or not all(isinstance(f, str) for f in folders):
        return None
    return Contents(files, folders)


def _content(marker: Path) -> Any:
    if not marker.is_file() or marker.stat().st_size > _LONGEST:
        return None
    try:
        return json.loads(marker.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        return None


def check_manifest(folder: Path) -> None:
    """Refuse a folder in which a file that its manifest lists is absent or not what was written."""
    marker = folder / MANIFEST
    if not marker.exists():
        return  # made by hand: there is nothing to compare with
    listed = read_list(check_regular(marker))
    if listed is None:
        raise FormatError(f"{marker}: is damaged, or no list of rerankit's; remove it to read the folder without")
    for name, expected in listed.files.items():
        check_entry(folder, name, expected, f"remove {MANIFEST} if you changed the folder yourself")


def check_entry(folder: Path, name: str, expected: Any, advice: str) -> None:
    """Refuse a file that is absent or not what was written."""
    file = check_inside(check_regular(folder / name), folder)
    if not matches(file, expected):
        raise FormatError(f"{file}: is not what was written: its size or checksum differs; {advice}")


def matches(file: Path, expected: Any) -> bool:
    """Whether a file is what a manifest says of it."""
    if not isinstance(expected, dict) or expected.get("bytes") != file.stat().st_size:
        return False
    algorithm = next((name for name in _ALGORITHMS if name in expected), None)
    return algorithm is not None and expected[algorithm] == _ALGORITHMS[algorithm](file)


def _crc32(file: Path) -> str:
    value = 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            value = zlib.crc32(piece, value)
    return f"{value:08x}"


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


_ALGORITHMS: dict[str, Callable[[Path], str]] = {"crc32": _crc32, "sha256": _sha256}
