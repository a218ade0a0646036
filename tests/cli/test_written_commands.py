"""Commands on pages: each is one of the program's, with options that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from rerankit.cli import build

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md")])
OWN = {"widest", "reached", "letters", "paper"}
"""Commands of plugins that a page writes itself."""


def commands(page: Path) -> Iterator[str]:
    """The program's lines in blocks for a shell; a line that ends in a backslash goes on."""
    for block in re.findall(r"```(?:console|sh|text)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            said = line.removeprefix("$ ").partition("  #")[0]
            if re.match(r"rerankit \S", said) and "…" not in said:
                yield said


@cache
def program() -> Any:
    """The whole command line."""
    return typer.main.get_command(build())


def command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words behind."""
    found = program()
    while words and hasattr(found, "commands"):
        word, *words = words
        if word.startswith("-") or word in OWN:
            return None, words
        assert word in found.commands, f"no command {word!r}"
        found = found.commands[word]
    return found, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_are_those_of_the_command(page: Path) -> None:
    for line in commands(page):
        found, words = command(shlex.split(line)[1:])
        if found is None or hasattr(found, "commands"):
            continue
        known = {name for param in found.params for name in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        assert used <= known, f"{line}: {sorted(used - known)}"
