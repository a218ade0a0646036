"""What is published: the same bytes whoever builds it, all that belongs in it and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a checkout knows what belongs in a package"),
]
SHIPPED = ("LICENSE", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "constraints.txt", "Makefile")


def build(checkout: Path, out: Path) -> dict[str, bytes]:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run(words, cwd=checkout, check=True, capture_output=True)
    return {file.name: file.read_bytes() for file in sorted(out.iterdir())}


def known_to_git() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return {line for line in listed.splitlines() if (ROOT / line).is_file()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows, elsewhere and with other times and rights, and what is built in both places."""
    folder = tmp_path_factory.mktemp("packages")
    for name in known_to_git():
        (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / "copy" / name)
    assert build(ROOT, folder / "one") == build(folder / "copy", folder / "other")
    return folder / "one"


def test_a_wheel_has_the_package_and_nothing_else(packages: Path):
    (wheel,) = packages.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    info = {name for name in names if ".dist-info/" in name}
    assert names - info == {name[4:] for name in known_to_git() if name.startswith("src/rerankit/")}
    assert {name.rpartition("/")[2] for name in info} == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "LICENSE"}
    assert "rerankit/py.typed" in names


def test_an_sdist_has_what_git_knows_and_how_to_report(packages: Path):
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert names - known_to_git() == {"PKG-INFO"}
    assert set(SHIPPED) <= names
    assert {name for name in known_to_git() if name.startswith(("src/", "tests/", "docs/", "examples/"))} <= names
