"""The files of a new plugin, from the templates beside this module."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from rerankit.errors import InputError, rule
from rerankit.files import atomic
from rerankit.plugins import manager
from rerankit.version import __version__


def scaffold(name: str, parent: Path) -> Path:
    """Write a plugin package for a stage `name` into a new folder of `parent`; return the folder."""
    words = names(name)
    if words["stage"] in manager().stages:
        owner = manager().owner(words["stage"])
        raise rule("name", f"must not be that of a stage, which {owner} has registered", words["stage"])
    folder = parent / words["distribution"]
    if folder.exists():
        raise InputError(f"'{folder}' exists already; nothing was written")
    templates = files("rerankit.cli") / "_template"
    package = f"src/{words['package']}"
    places = {
        "pyproject.toml.txt": "pyproject.toml",
        "README.md.txt": "README.md",
        "init.py.txt": f"{package}/__init__.py",
        "stage.py.txt": f"{package}/stage.py",
        "test_stage.py.txt": "tests/test_stage.py",
    }
    with atomic(folder) as temporary:
        for template, place in places.items():
            file = temporary / place
            file.parent.mkdir(parents=True, exist_ok=True)
            text = Template((templates / template).read_text(encoding="utf-8"))
            file.write_text(text.substitute(words), encoding="utf-8")
    return folder


def names(name: str) -> dict[str, str]:
    """Every form of a plugin's name.

    >>> names("my-idea")["package"], names("my-idea")["class_name"]
    ('rerankit_my_idea', 'MyIdea')
    """
    stage = name.removeprefix("rerankit-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", stage) or keyword.iskeyword(stage):
        raise rule("name", "must be lower-case words of letters and digits, joined by '-'", name)
    major, minor = (int(part) for part in __version__.split(".")[:2])
    return {
        "stage": stage,
        "distribution": f"rerankit-{stage}",
        "package": f"rerankit_{stage.replace('-', '_')}",
        "class_name": "".join(word.capitalize() for word in stage.split("-")),
        "requirement": f">={major}.{minor},<{major}.{minor + 1}",
    }
