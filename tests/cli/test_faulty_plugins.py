"""Installed plugins with every kind of fault at once: the program works and names each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rerankit import read, write

HOOK = "from rerankit import Stage, hookimpl\n\n@hookimpl\ndef rerankit_register_stages(register):\n    "
PLUGINS = {
    "import_fails": "import a_module_that_is_absent\n",
    "register_raises": HOOK + "raise RuntimeError('out of luck')\n",
    "unknown_hook": "from rerankit import hookimpl\n\n@hookimpl\ndef rerankit_register_stagez(register):\n    pass\n",
    "name_taken": HOOK + "register('mutual-rank', Stage); register('good-one', Stage)\n",
    "other_version": HOOK + "register('from-the-future', Stage)\n",
    "leaves": "import sys\nsys.exit(0)\n",
    "lazy": HOOK + "register('lazy', 'a_module_that_is_absent:Lazy')\n",
}
FAULTS = {
    "import_fails": "a_module_that_is_absent",
    "register_raises": "out of luck",
    "unknown_hook": "did you mean 'rerankit_register_stages'",
    "name_taken": "'mutual-rank' is already registered by 'rerankit'",
    "other_version": "built for rerankit >=9",
    "leaves": "SystemExit: 0",
    "lazy": "stage 'lazy' does not load: ModuleNotFoundError",
}


@pytest.fixture
def program(tmp_path: Path):  # type: ignore[no-untyped-def]
    room = tmp_path / "site"
    for name, code in PLUGINS.items():
        info = room / f"dist_{name}-1.5.dist-info"
        info.mkdir(parents=True)
        (room / f"{name}.py").write_text(code)
        needs = "Requires-Dist: rerankit>=9\n" if name == "other_version" else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.5\n{needs}")
        (info / "entry_points.txt").write_text(f"[rerankit]\n{name} = {name}\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(room), os.environ.get("PYTHONPATH", "")])}

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rerankit", *arguments]
        return subprocess.run(command, cwd=tmp_path, env={**environment, **changes}, capture_output=True, text=True)

    return run


def test_each_fault_is_named_with_its_distribution(program) -> None:  # type: ignore[no-untyped-def]
    listed = program("plugins", "--json")
    assert listed.returncode == 0, listed.stderr
    rows = {row["plugin"]: row for row in json.loads(listed.stdout)}
    for name, text in FAULTS.items():
        assert text in rows[name]["faults"][0], name
        assert rows[name]["distribution"] == f"dist-{name} 1.5"
        assert f"'{name}' (dist-{name} 1.5)" in listed.stderr
    assert rows["name_taken"]["status"] == "loaded"
    assert rows["name_taken"]["stages"] == ["good-one"]
    told = program("doctor", "--json", RERANKIT_DISABLE_PLUGINS="nobody")
    assert "RERANKIT_DISABLE_PLUGINS names 'nobody'" in told.stderr
    assert "names 'nobody'" in json.loads(told.stdout)["unknown_names"][0]
    assert told.returncode == 4
    assert {row["plugin"] for row in json.loads(told.stdout)["plugin_faults"]} == set(PLUGINS)


def test_the_work_goes_on(program, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path / "a.npy", np.eye(4))
    done = program("rerank", "a.npy", "--stage", "mutual-rank", "--out", "b.npz")
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "b.npz").shape == (4, 4)


def test_only_allowed_plugins_are_loaded(program) -> None:  # type: ignore[no-untyped-def]
    rows = json.loads(program("plugins", "--json", RERANKIT_ALLOW_PLUGINS="name_taken").stdout)
    assert {row["plugin"] for row in rows if row["status"] == "disabled"} >= set(PLUGINS) - {"name_taken"}
