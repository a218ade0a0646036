"""The programs behind the figures of the documentation find all that they import."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from rerankit.errors import MissingExtraError

PROGRAMS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_imported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = spec_from_file_location(f"benchmark_{path.stem}", path)
    assert place is not None
    assert place.loader is not None
    module = module_from_spec(place)
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where dataclasses look for their module
    try:
        place.loader.exec_module(module)
    except MissingExtraError as missing:
        pytest.skip(str(missing))
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("rerankit"):
            raise
        pytest.skip(str(missing))
