"""The example plugin in plugins/: found through its entry point, and its own tests pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "plugins" / "rerankit-example"


def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **changes}
    return subprocess.run([sys.executable, *arguments], cwd=EXAMPLE, env=environment, capture_output=True, text=True)


@pytest.fixture
def installed() -> None:
    if not any(entry.name == "example" for entry in metadata.entry_points(group="rerankit")):
        pytest.skip("plugins/rerankit-example is not installed; `make test` installs it")


@pytest.mark.usefixtures("installed")
def test_the_installed_example_is_found_through_its_entry_point() -> None:
    found = run("-m", "rerankit", "plugins", "--json")
    assert found.returncode == 0, found.stderr
    plugin = next(row for row in json.loads(found.stdout) if row["plugin"] == "example")
    assert plugin["status"] == "loaded"
    assert plugin["distribution"].startswith("rerankit-example 0.1.0")
    assert plugin["stages"] == ["neighbour-average"]
    assert plugin["metrics"] == ["reached"]


@pytest.mark.usefixtures("installed")
def test_the_installed_example_can_be_disabled() -> None:
    found = run("-m", "rerankit", "plugins", "--json", RERANKIT_DISABLE_PLUGINS="example")
    assert next(row for row in json.loads(found.stdout) if row["plugin"] == "example")["status"] == "disabled"


def test_the_examples_own_tests_pass() -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-3000:]
