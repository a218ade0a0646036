"""The examples run: offline, into an empty folder, and each ends in a table or a picture."""

from __future__ import annotations

import re
import socket
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
ALL_NEED = ["sklearn"]
"""The digits come with scikit-learn, and pictures are drawn by what comes with it in the extra `demo`."""


def _absent(text: str) -> list[str]:
    needed = re.search(r"^# needs: (.*)$", text, re.MULTILINE)
    return [name for name in [*ALL_NEED, *(needed[1].split() if needed else [])] if not find_spec(name)]


def _imported(path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    place = spec_from_file_location(f"example_{path.stem}", path)
    assert place is not None
    assert place.loader is not None
    module = module_from_spec(place)
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where pickles look for its classes
    place.loader.exec_module(module)
    return module


def _refused(*_: Any, **__: Any) -> None:
    raise AssertionError("an example must not use the network")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if absent := _absent(path.read_text(encoding="utf-8")):
        pytest.skip(f"not installed: {', '.join(absent)}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", _refused)
    monkeypatch.setattr(sys, "argv", [str(path)])
    main = _imported(path, monkeypatch).main
    main(tmp_path) if main.__code__.co_argcount else main()
    out = capsys.readouterr().out
    made = [name for name in re.findall(r"\S+\.(?:png|html)$", out, re.MULTILINE) if Path(name).stat().st_size > 1000]
    assert made or re.search(r"^-+  -+", out, re.MULTILINE), f"neither a table nor a picture:\n{out}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_short_and_linked(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 60
    page = (REPOSITORY / "docs" / "examples.md").read_text(encoding="utf-8")
    assert f"`{path.name}`" in page
    assert "(docs/examples.md)" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
