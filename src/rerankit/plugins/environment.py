"""What the environment says about plugins: the lists of names, and the version a distribution asks for."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from rerankit.errors import PluginError
from rerankit.version import __version__

DISABLE, ALLOW, FILES = "RERANKIT_DISABLE_PLUGINS", "RERANKIT_ALLOW_PLUGINS", "RERANKIT_PLUGINS"


def listed(variable: str) -> set[str]:
    """The names of a variable, which are joined by commas."""
    return {name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()}


def files() -> list[str]:
    """The one-file plugins to load."""
    return [path for path in os.environ.get(FILES, "").split(os.pathsep) if path]


def left_out(name: str) -> bool:
    """Whether an installed plugin is not to be loaded."""
    return name in listed(DISABLE) or bool(listed(ALLOW) and name not in listed(ALLOW))


def names_file(name: str, file: Path) -> bool:
    """Whether a name of a list means this file, whose path is resolved.

    >>> names_file("good.py", Path("/there/good.py")), names_file("/there/../there/good.py", Path("/there/good.py"))
    (True, True)
    """
    return name == file.name or Path(name).expanduser().resolve() == file


def check_version(distribution: metadata.Distribution | None) -> None:
    """Refuse a distribution whose requirements exclude this version."""
    from packaging.requirements import InvalidRequirement, Requirement  # slow to import, and needed for plugins only
    from packaging.utils import canonicalize_name

    for text in (distribution.requires or []) if distribution else []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:  # about another package, or pip would not have installed it
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) != "rerankit" or not applies:
            continue
        if not requirement.specifier.contains(__version__, prereleases=True):
            raise PluginError(f"built for rerankit {requirement.specifier}, and this is rerankit {__version__}")
