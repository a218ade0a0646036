"""Plugins as this process registers them, and as pip installs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rerankit import plugins
from rerankit.plugins import PluginInfo, hookimpl, manager


@pytest.fixture
def offer() -> Iterator[Callable[..., PluginInfo]]:
    """Register things of a kind by name, as the plugin "sample" of the distribution "dist-sample 1.0"."""
    plugins.reset()

    def register(kind: str, **things: Any) -> PluginInfo:
        class Plugin:
            pass

        def collect(self: Plugin, register: Any) -> None:
            for name, thing in things.items():
                register(name, thing)

        hook = f"rerankit_register_{plugins.kinds.KINDS[kind]}"
        collect.__name__ = hook
        setattr(Plugin, hook, hookimpl(collect))
        return manager().register(Plugin(), "sample", "dist-sample 1.0")

    yield register
    plugins.reset()


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the program with a plugin installed whose module has this code."""

    def run(code: str, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        room = tmp_path / "site"
        info = room / "dist_sample-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (room / "sample_module.py").write_text(code)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-sample\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[rerankit]\nsample = sample_module\n")
        path = os.pathsep.join([str(room), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "rerankit", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, **more)

    return run
