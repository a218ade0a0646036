"""The page of the API has every public name, and every room says which names are public."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from importlib.util import find_spec as spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rerankit
from rerankit.builtins import STAGES

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
PATHS = re.findall(r"^::: (rerankit[\w.]*)$", PAGE.read_text(encoding="utf-8"), re.M)
PUBLIC = (
    "",
    *(".bench", ".choosing", ".engines", ".features", ".formats", ".metrics", ".pipelines", ".plugins", ".reading"),
    *(".reports", ".runs", ".scores", ".serving", ".statistics", ".tasks", ".testing", ".training"),
)
"""Rooms whose names are for everybody; of the others, rerankit alone makes use."""
PAGES = sorted((Path(__file__).parents[1] / "docs").rglob("*.md"))
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def rooms() -> Iterator[str]:
    root = Path(rerankit.__file__).parent
    for file in sorted(root.rglob("__init__.py")):
        yield ".".join(file.parent.relative_to(root).parts)


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
    # A room of stages names files, which are imported when a stage is first used.
    assert [name for name in names if not hasattr(module, name) and not spec(f"{module.__name__}.{name}")] == []
    assert [name for name in names if name.startswith("_") and name != "__version__"] == []


def test_registered_stages_and_what_pages_import_are_public() -> None:
    """Every file of a stage, and every file below a room that a page or an example imports, stands in `__all__`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (*PAGES, *EXAMPLES))
    shown = re.findall(r"^from rerankit\.((?:stages|tasks\.miniatures)[\w.]*) import", text, re.M)
    files = {path.partition(":")[0].removeprefix("rerankit.") for path in STAGES.values()} | set(shown)
    hidden = []
    for file in sorted(file for file in files if file.startswith(("stages.", "tasks.miniatures."))):
        room, _, name = file.rpartition(".")
        public = importlib.import_module(f"rerankit.{room}").__all__
        hidden += [file] if name not in public else []
    assert shown
    assert hidden == []
