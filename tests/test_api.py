"""The page of the API has every public name, and every room says which names are public."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rerankit

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
PATHS = re.findall(r"^::: (rerankit[\w.]*)$", PAGE.read_text(encoding="utf-8"), re.M)
PUBLIC = (
    "",
    *(".bench", ".choosing", ".engines", ".features", ".formats", ".metrics", ".pipelines", ".plugins", ".reading"),
    *(".reports", ".runs", ".scores", ".serving", ".statistics", ".tasks", ".testing", ".training"),
)
"""Rooms whose names are for everybody; of the others, rerankit alone makes use."""
WITHOUT = ("cli", "stages", "tasks.miniatures")
"""Rooms whose files are found by their names: commands, stages, miniatures."""


def rooms() -> Iterator[str]:
    root = Path(rerankit.__file__).parent
    for file in sorted(root.rglob("__init__.py")):
        name = ".".join(file.parent.relative_to(root).parts)
        if not name.startswith(WITHOUT):
            yield name


def thing(path: str) -> Any:
    """What a dotted path leads to."""
    room, _, name = path.rpartition(".")
    module = importlib.import_module(room or path)
    return getattr(module, name) if hasattr(module, name) else importlib.import_module(path)


def test_every_path_of_the_page_leads_somewhere() -> None:
    assert len(set(PATHS)) == len(PATHS)
    for path in PATHS:
        assert thing(path) is not None


@pytest.mark.parametrize("room", PUBLIC)
def test_the_page_has_every_public_name(room: str) -> None:
    shown = [(path, thing(path)) for path in PATHS]
    whole = {path for path, found in shown if isinstance(found, ModuleType)}
    lost = []
    for name in importlib.import_module(f"rerankit{room}").__all__:
        path = f"rerankit{room}.{name}"
        found = getattr(importlib.import_module(f"rerankit{room}"), name)
        known = f"rerankit{room}" in whole or path in PATHS or any(found is each for _, each in shown)
        if not known and not (isinstance(found, ModuleType) and f".{name}" in PUBLIC) and name != "__version__":
            lost.append(path)
    assert lost == []


@pytest.mark.parametrize("room", list(rooms()))
def test_every_room_says_what_is_public(room: str) -> None:
    module = importlib.import_module(f"rerankit.{room}".rstrip("."))
    names = module.__all__
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []
    assert [name for name in names if name.startswith("_") and name != "__version__"] == []
