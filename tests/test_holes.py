"""What rerankit may be installed with has none of the published holes that `.ci/holes.toml` lists."""

from __future__ import annotations

import re
import sys
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
        assert name in allowed, f"{name} is not needed any more: take its entry out"
        for needed in allowed[name]:
            floors = [Version(each.version) for each in needed.specifier if each.operator in (">=", "==", "~=")]
            assert floors, f"{needed} has no lowest version"
            assert max(floors) >= mended, f"{needed} allows versions with {hole['id']}: {hole['what']}"
        assert pinned.get(name, mended) >= mended, f"{name} is pinned to a version with {hole['id']}"
    assert len(holes) == len({hole["package"] for hole in holes})
