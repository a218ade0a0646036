"""What a project says: settings of plugins, and code that runs only where the user allows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rerankit import plugins, stages_available
from rerankit.cli import build
from rerankit.errors import FormatError, InputError
from rerankit.plugins import manager, plugin_settings

CODE = """
from rerankit import Stage, hookimpl
from rerankit.plugins import plugin_settings

class Local(Stage):
    name = "local"

    def __init__(self, depth: int = plugin_settings("local").get("depth", 3)):
        self.depth = depth

@hookimpl
def rerankit_register_stages(register):
    register("local", Local)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder one works in, below a project."""
    (tmp_path / "inside" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "inside" / "deeper")
    yield tmp_path
    plugins.reset()


def test_settings_of_the_nearest_project(folder: Path) -> None:
    assert plugin_settings("mine") == {}
    (folder / "pyproject.toml").write_text("[tool.rerankit.plugins.mine]\ndepth = 3\n[tool.other]\nx = 1\n")
    assert plugin_settings("mine") == {"depth": 3}
    assert plugin_settings("other") == {}
    (folder / "rerankit.toml").write_text("[plugins.mine]\ndepth = 4\n")
    assert plugin_settings("mine") == {"depth": 4}  # rerankit's own file stands before the shared one
    (folder / "inside" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert plugin_settings("mine") == {"depth": 4}  # which says nothing of rerankit
    (folder / "inside" / "rerankit.toml").write_text("")
    assert plugin_settings("mine") == {}


def test_settings_that_are_none(folder: Path) -> None:
    (folder / "inside" / "pyproject.toml").write_text("no toml at all")
    assert plugin_settings("mine") == {}  # for other programs to say
    (folder / "rerankit.toml").write_text("[plugins]\nmine = 3\n")
    with pytest.raises(InputError, match="'mine' must be a table in the settings of"):
        plugin_settings("mine")
    (folder / "rerankit.toml").write_text("no toml at all")
    with pytest.raises(FormatError, match=r"rerankit\.toml: is no TOML"):
        plugin_settings("mine")


def run(*words: str) -> Any:
    return CliRunner().invoke(build(), words)


def test_code_of_a_project_runs_where_it_is_allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "rerankit_plugins.py").write_text(CODE)
    (folder / "rerankit.toml").write_text("[plugins.local]\ndepth = 8\n")
    plugins.reset()
    assert "local" not in stages_available()
    for command in ("plugins", "doctor"):
        told = run(command).stderr
        assert "rerankit_plugins.py is not loaded: code of a folder runs when you allow it" in told
        assert f"RERANKIT_TRUST_PROJECTS={folder}" in told
    monkeypatch.setenv("RERANKIT_TRUST_PROJECTS", str(folder / "inside"))
    plugins.reset()
    assert "local" not in stages_available()  # another folder
    monkeypatch.setenv("RERANKIT_TRUST_PROJECTS", f"/nowhere:{folder}")
    plugins.reset()
    assert "local" in stages_available()
    assert manager().stages["local"]().depth == 8
    assert manager().notes == []
    listed = {row["plugin"]: row["stages"] for row in json.loads(run("plugins", "--json").stdout)}
    assert listed[str(folder / "rerankit_plugins.py")] == ["local"]
    monkeypatch.setenv("RERANKIT_DISABLE_PLUGINS", "rerankit_plugins.py")
    plugins.reset()
    assert "local" not in stages_available()
