"""Which format a path has."""

from __future__ import annotations

import warnings
from pathlib import Path
from weakref import WeakKeyDictionary

from rerankit.errors import FormatError
from rerankit.formats.content import Format
from rerankit.plugins import manager
from rerankit.plugins.endings import MadeFormats, made_formats
from rerankit.plugins.manager import BUILTIN
from rerankit.plugins.registry import Registry

_PICKLES = (".pkl", ".pickle", ".joblib")


_MADE: WeakKeyDictionary[Registry, tuple[int, MadeFormats]] = WeakKeyDictionary()


def formats() -> dict[str, Format]:
    """Every format by name; made once, and again when the registry has changed."""
    return _made().by_name


def source_of(form: Format) -> str:
    """The plugin that a format comes from, as text; nothing for one that ships."""
    entry = manager().formats.entry(next(name for name, each in formats().items() if each is form))
    return "" if entry.owner == BUILTIN else entry.source


def _made() -> MadeFormats:
    registry = manager().formats
    version, found = _MADE.get(registry, (-1, MadeFormats()))
    if version != registry.version:
        version, found = registry.version, made_formats(registry)
        _MADE[registry] = version, found
        for name, error in found.left_out.items():
            if registry.entry(name).owner == BUILTIN:
                raise error
            # One broken plugin must not keep every other file from being read; `rerankit doctor` tells the same.
            warnings.warn(f"format '{name}' is left out: {error}", stacklevel=4)
        for fault in found.faults:
            warnings.warn(str(fault), stacklevel=4)
    return found


def format_of(path: Path, *, writing: bool = False) -> Format:
    """The format of a path: the longest ending that fits; a folder, or no ending when writing, is a folder."""
    if path.is_dir() if not writing else path.suffix == "":
        return formats()["folder"]
    name = path.name.lower()
    if name.endswith(_PICKLES):
        raise FormatError(f"{path}: pickles can run code and are never read or written; use .npz or .safetensors")
    owned: dict[str, Format] = {ending: form for ending, form in _made().by_ending.items() if ending}
    matches = [ending for ending in owned if name.endswith(ending)]
    if not matches:
        raise FormatError(f"{path}: unknown ending '{path.suffix}'; known: {', '.join(sorted(owned))}")
    return owned[max(matches, key=len)]
