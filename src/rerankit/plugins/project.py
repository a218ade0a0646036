"""What a project says of plugins: settings in a TOML file, and a file of plugins of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from rerankit.errors import FormatError, InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN, SHARED, CODE = "rerankit.toml", "pyproject.toml", "rerankit_plugins.py"
TRUSTED = "RERANKIT_TRUST_PROJECTS"


def plugin_settings(name: str) -> dict[str, Any]:
    """The project's settings of a plugin: ``[plugins.NAME]`` of rerankit.toml, or ``[tool.rerankit.plugins.NAME]`` of
    pyproject.toml, in the working folder or the nearest one above it that has such a file; empty where there are none.

    >>> plugin_settings("nobody")
    {}
    """
    folder = project()
    found: Any = {} if folder is None else _settings(folder)
    for key in ("plugins", name):
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise InputError(f"'{key}' must be a table in the settings of {folder} (got {found!r})")
    return dict(found)


def project() -> Path | None:
    """The folder of the project one works in: the nearest with one of the three files."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return None
    return next((folder for folder in (here, *here.parents) if _is_project(folder)), None)


def project_file() -> Path | None:
    """The project's file of plugins, where there is one."""
    folder = project()
    file = None if folder is None else folder / CODE
    return file if file is not None and file.is_file() else None


def trusted(file: Path) -> bool:
    """Whether the user has said that a project's code may run: its folder is in the list of the environment."""
    listed = [path for path in os.environ.get(TRUSTED, "").split(os.pathsep) if path]
    return any(Path(path).expanduser().resolve() == file.parent.resolve() for path in listed)


def _is_project(folder: Path) -> bool:
    if (folder / OWN).is_file() or (folder / CODE).is_file():
        return True
    try:
        return bool(_table(folder / SHARED).get("tool", {}).get("rerankit"))
    except FormatError:  # it is there for other programs, and what is wrong with it is theirs to say
        return False


def _settings(folder: Path) -> dict[str, Any]:
    """The settings of a project; rerankit's own file stands before the shared one."""
    if (folder / OWN).is_file():
        return _table(folder / OWN)
    found: dict[str, Any] = _table(folder / SHARED).get("tool", {}).get("rerankit", {})
    return found


def _table(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    from rerankit.reading import read_text  # slow to import, and mostly there is no such file

    try:
        found: dict[str, Any] = tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as cause:
        raise FormatError(f"{file}: is no TOML: {cause}") from cause
    return found
