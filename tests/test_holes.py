"""What rerankit may be installed with has none of the published holes that `.ci/holes.toml` lists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="only a checkout has the list")


def _read(name: str) -> dict:
    return tomllib.loads((ROOT / name).read_text())


def _allowed() -> dict[str, list[Requirement]]:
    project = _read("pyproject.toml")["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    found: dict[str, list[Requirement]] = {}
    for line in lines:
        needed = Requirement(line)
        found.setdefault(canonicalize_name(needed.name), []).append(needed)
    return found


def _pinned() -> dict[str, Version]:
    text = "".join((ROOT / name).read_text() for name in ("constraints.txt", "constraints-oldest.txt"))
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_no_version_with_a_known_hole_is_allowed():
    allowed, pinned = _allowed(), _pinned()
    holes = _read(".ci/holes.toml")["hole"]
    for hole in holes:
        name, mended = canonicalize_name(hole["package"]), Version(hole["below"])
        needs = canonicalize_name(hole.get("brought_by", name))
        assert needs in allowed, f"{needs} is not needed any more: take the entry of {name} out"
        assert needs == name or name not in allowed, f"{name} is needed here, too: its entry wants no brought_by"
        for needed in allowed.get(name, []):
            floors = [Version(each.version) for each in needed.specifier if each.operator in (">=", "==", "~=")]
            assert floors, f"{needed} has no lowest version"
            assert max(floors) >= mended, f"{needed} allows versions with {hole['id']}: {hole['what']}"
        assert pinned.get(name, mended) >= mended, f"{name} is pinned to a version with {hole['id']}"
    assert len(holes) == len({hole["package"] for hole in holes})


def _checked(installed: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    listed = [{"name": name, "version": version} for name, version in installed.items()]
    (folder / "sbom.json").write_text(json.dumps({"bomFormat": "CycloneDX", "components": listed}))
    words = [sys.executable, str(ROOT / ".ci" / "holes"), str(folder / "sbom.json")]
    return subprocess.run(words, capture_output=True, text=True)


def test_what_is_installed_is_refused_where_it_has_a_known_hole(tmp_path: Path):
    holes = _read(".ci/holes.toml")["hole"]
    mended = {hole["package"]: hole["below"] for hole in holes}
    assert _checked(mended, tmp_path).returncode == 0
    old = _checked({name.upper().replace("-", "_"): "0.0.1" for name in mended}, tmp_path)
    assert old.returncode == 1
    for line, hole in zip(old.stdout.splitlines(), holes, strict=True):
        assert line.startswith(f"{hole['package']} 0.0.1 has {hole['id']}, mended in {hole['below']}")
    assert _checked({}, tmp_path).returncode == 1


def test_nothing_that_the_tests_run_with_has_a_known_hole(tmp_path: Path):
    installed = {each.name: each.version for each in distributions() if each.name != "rerankit"}
    done = _checked(installed, tmp_path)
    assert done.returncode == 0, done.stdout
