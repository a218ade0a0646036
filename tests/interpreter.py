"""Code in an interpreter of its own, with libraries that cannot be found there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def python(code: str, folder: Path) -> str:
    """What the code prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without(libraries: Iterable[str]) -> str:
    """Code after which none of the libraries is found."""
    return f"""
import sys

ABSENT = {sorted(libraries)}

class Finder:
    def __init__(self, real):
        self.real = real
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in ABSENT else self.real.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.real, name)

sys.meta_path[:] = map(Finder, sys.meta_path)
"""
