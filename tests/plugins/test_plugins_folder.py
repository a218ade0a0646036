"""The plugins in plugins/: each is found through its entry point, can be left out, and its page is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

FOLDERS = sorted(path for path in (Path(__file__).parents[2] / "plugins").iterdir() if path.is_dir())
REGISTERS: dict[str, dict[str, list[str]]] = {
    "example": {"stages": ["neighbour-average"], "metrics": ["reached"]},
    "faiss": {"stages": ["indexed", "refine"], "sources": ["faiss"]},
    "judge": {"stages": ["listwise-judge", "pairwise-judge"]},
    "places": {"stages": ["geometric-check", "sequence"]},
    "reid": {"stages": ["camera-aware"], "tasks": ["msmt17", "veri776"]},
}


def run(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **changes}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def listed() -> dict[str, dict[str, Any]]:
    """Two listings of what is installed: as it is, and with all of it disabled."""
    here = {entry.name for entry in metadata.entry_points(group="rerankit")}
    if missing := sorted(REGISTERS.keys() - here):
        pytest.skip(f"not installed: {', '.join(missing)}; `make test` installs what is in plugins/")
    found = {}
    for state, disabled in (("loaded", ""), ("disabled", ",".join(REGISTERS))):
        told = run(FOLDERS[0], "-m", "rerankit", "plugins", "--json", RERANKIT_DISABLE_PLUGINS=disabled)
        assert told.returncode == 0, told.stderr
        found[state] = {row["plugin"]: row for row in json.loads(told.stdout)}
    return found


def test_each_is_known_here() -> None:
    assert {folder.name for folder in FOLDERS} == {f"rerankit-{name}" for name in REGISTERS}
    for folder in FOLDERS:
        assert (folder / "README.md").is_file()


@pytest.mark.parametrize("name", REGISTERS)
def test_an_installed_one_is_found_through_its_entry_point(listed: dict[str, dict[str, Any]], name: str) -> None:
    row = listed["loaded"][name]
    assert row["status"] == "loaded"
    assert row["faults"] == []
    assert row["distribution"].startswith(f"rerankit-{name} 0.1.0")
    kinds = {kind: names for kind, names in row.items() if isinstance(names, list) and names}
    assert kinds == REGISTERS[name]
    assert listed["disabled"][name]["status"] == "disabled"


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_page_is_true(folder: Path) -> None:
    blocks = re.findall(r" *```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    code = "\n".join(dedent(block) for block in blocks)
    done = run(folder, "-c", code)
    if absent := re.search(r"No module named '(faiss|cv2)'", done.stderr):
        pytest.skip(f"{absent[1]} is not installed")
    assert done.returncode == 0, done.stderr
