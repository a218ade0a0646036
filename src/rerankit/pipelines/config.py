"""config.json, and what lies next to it in a folder."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.errors import FormatError
from rerankit.files import CONFIG, check_inside, check_regular
from rerankit.formats.safetensors import SafetensorsFormat
from rerankit.reading import read_json
from rerankit.version import __version__

if TYPE_CHECKING:
    from rerankit.arrays import AnyArray


FORMAT = 1


def write_config(folder: Path, content: dict[str, Any]) -> None:
    """Write the file that says what a folder holds, next to what is there already."""
    folders = sorted(each.name for each in folder.iterdir() if each.is_dir())
    config = {"rerankit": __version__, **content, "folders": folders}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _config(path: Path) -> dict[str, Any]:
    file = path / CONFIG
    if not os.path.lexists(file):
        raise FormatError(f"'{path}' is not a saved stage: it has no {CONFIG}")
    check_inside(check_regular(file), path)
    config: dict[str, Any] = read_json(file, dict, "text")
    if not _well_formed(config):
        raise FormatError(
            f"'{file}' must hold 'stage' and 'params', or 'pipeline': a text and an object, or a list of texts"
        )
    if config.get("format") != FORMAT:
        raise FormatError(f"'{file}' has format {config.get('format')!r}, and this rerankit reads format {FORMAT}")
    return config


def _well_formed(config: Any) -> bool:
    if not isinstance(config, dict) or not isinstance(config.setdefault("files", {}), dict):
        return False
    if "ready" in config:
        return True
    if "pipeline" in config:
        names = config["pipeline"]
        return isinstance(names, list) and all(isinstance(name, str) for name in names)
    return isinstance(config.get("stage"), str) and isinstance(config.get("params"), dict)


def _inner(folder: Path, name: Any) -> Path:
    """The path of something inside the folder: configs come from others, and must not reach out of it."""
    if not isinstance(name, str) or name in ("", ".", "..") or name != _file_name(name):
        raise FormatError(f"'{folder / CONFIG}' must name what lies directly in its folder (got {name!r})")
    return folder / name


def _inner_folder(folder: Path, name: Any) -> Path:
    """The same for a folder, which must not be a link to one that holds it: loading would never end."""
    inner = _inner(folder, name)
    if inner.resolve().parent != folder.resolve():
        raise FormatError(f"'{inner}' must be a folder in '{folder}', not a link to another place")
    return inner


def _file_name(text: str) -> str:
    """The text as a file's name on any system."""
    return re.sub(r"[^\w.-]", "_", text)


def _unused(folder: Path, name: str, ending: str) -> Path:
    """A path for a parameter, told from the weights by its beginning and from other parameters by a number."""
    stem = f"param-{_file_name(name)}"
    taken = 0
    while (folder / f"{stem}{f'.{taken}' if taken else ''}{ending}").exists():
        taken += 1
    return folder / f"{stem}{f'.{taken}' if taken else ''}{ending}"


def _array_in(file: Path) -> AnyArray:
    arrays = _read_arrays(file)
    if arrays.keys() != {"array"}:
        raise FormatError(f"'{file}' must hold one array named 'array' (got {', '.join(arrays) or 'none'})")
    return arrays["array"]


def _read_arrays(path: Path) -> dict[str, AnyArray]:
    check_regular(path)
    try:
        return {name: np.array(array) for name, array in SafetensorsFormat().read(path).items()}
    except (FormatError, OSError, ValueError) as cause:
        raise FormatError(f"'{path}' is not a readable safetensors file: {cause}") from cause
