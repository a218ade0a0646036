"""Which format a path has."""

from __future__ import annotations

import warnings
from pathlib import Path
from weakref import WeakKeyDictionary

from rerankit.errors import FormatError
from rerankit.formats.content import Format
from rerankit.plugins import manager
from rerankit.plugins.manager import BUILTIN
from rerankit.plugins.registry import Registry

_PICKLES = (".pkl", ".pickle", ".joblib")


_MADE: WeakKeyDictionary[Registry, tuple[int, dict[str, Format]]] = WeakKeyDictionary()


def formats() -> dict[str, Format]:
    """Every format by name; made once, and anew when the registry has changed."""
    registry = manager().formats
    version, found = _MADE.get(registry, (-1, {}))
    if version != registry.version:
        version = registry.version
        found = _made(registry)
        _MADE[registry] = version, found
    return found


def _made(registry: Registry) -> dict[str, Format]:
    found = {}
    for name in registry:
        try:
            found[name] = registry.entry(name).make()
        except Exception as error:
            if registry.entry(name).owner == BUILTIN:
                raise
            # One broken plugin must not keep every other file from being read; `rerankit doctor` tells the same.
            warnings.warn(f"format '{name}' is left out: {error}", stacklevel=4)
    return found


def format_of(path: Path, *, writing: bool = False) -> Format:
    """The format of a path: the longest ending that fits; a folder, or no ending when writing, is a folder."""
    if path.is_dir() if not writing else path.suffix == "":
        return formats()["folder"]
    name = path.name.lower()
    if name.endswith(_PICKLES):
        raise FormatError(f"{path}: pickles can run code and are never read or written; use .npz or .safetensors")
    fitting = [(ending, form) for form in formats().values() for ending in form.suffixes if ending]
    matches = [(len(ending), form) for ending, form in fitting if name.endswith(ending)]
    if not matches:
        known = ", ".join(sorted({ending for ending, _ in fitting}))
        raise FormatError(f"{path}: unknown ending '{path.suffix}'; known: {known}")
    return max(matches, key=lambda match: match[0])[1]
