"""The page of the demo and its command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rerankit.bench.examples import Candidate, Example
from rerankit.cli import build
from rerankit.demo import page
from rerankit.demo.charts import steps
from rerankit.demo.section import FigureTable, Section, Story
from rerankit.display import Face

for needed in ("sklearn", "matplotlib", "PIL", "jinja2"):
    pytest.importorskip(needed, reason=f"{needed} is not installed")

ROWS = [{"stage": "<base>", "R@1": 10.0, "ms": 0.25}, {"stage": "better", "R@1": 20.5, "ms": 1234.0}]


def _part() -> Section:
    picture = np.full((4, 4, 3), 200, np.uint8)
    found = tuple(Candidate(row, Face(str(row), "", picture + row), row == 1) for row in range(3))
    example = Example(0, Face("q", "a query", picture), (2.0, 1.0), found, found[::-1])
    story = Story(Face("1", "", picture), ("first words", "second words"), (example, example))
    charts = (steps("made-up", ROWS, ["R@1"]),)
    return Section(
        "made-up",
        "A title",
        "A lead.",
        (FigureTable(ROWS, "A note.", ("R@1",)),),
        charts,
        (example,),
        (story,),
        "Look.",
    )


@pytest.fixture
def made(tmp_path: Path) -> str:
    return page.write([_part()], tmp_path / "deep" / "demo.html", ["left out: 'x'"]).read_text(encoding="utf-8")


def test_the_page_has_figures_sentences_and_pictures(made: str) -> None:
    for text in ("A title", "A lead.", "A note.", "first words", "second words", "left out: &#39;x&#39;", "Look."):
        assert text in made
    assert '<span class="figure best">20.5</span>' in made
    assert re.findall(r'<span class="figure">([\d.,]+)</span>', made) == ["10.0", "0.25", "1,234.00"]
    assert "&lt;base&gt;" in made
    assert "<base>" not in made
    assert made.count("<image ") == len(set(re.findall(r'<image id="(\w+)"', made))) >= 4
    assert set(re.findall(r'<use href="#(\w+)"', made)) <= set(re.findall(r'<image id="(\w+)"', made))


def test_nothing_is_loaded_from_elsewhere(made: str) -> None:
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', made) == []
    assert "http://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", made)


def test_the_command_writes_one_page_and_prints_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rerankit.demo.contest.PREPARED", ("nnn",))  # the others take seconds
    result = CliRunner().invoke(build(), ["demo", "digits", "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    tables = json.loads(result.stdout)["digits"]
    assert tables[0][0]["stage"] == "as they come"
    assert tables[1][0]["ms a query"] > 0
    assert str(tmp_path / "out" / "demo.html") in result.stderr
    text = (tmp_path / "out" / "demo.html").read_text(encoding="utf-8")
    assert "the upper half of a" in text
    again = CliRunner().invoke(build(), ["demo", "digits", "--out", str(tmp_path / "out")])
    assert again.exit_code == 2
    assert "--force" in again.stderr


def test_without_the_extra_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("rerankit.extras.find_spec", lambda name: None)
    result = CliRunner().invoke(build(), ["demo", "--out", str(tmp_path / "out")])
    assert result.exit_code == 3
    assert "pip install 'rerankit[demo]'" in result.stderr
    assert not (tmp_path / "out").exists()


def test_without_torch_the_rest_runs_and_says_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from rerankit.cli import demo

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    asked, left_out = demo._possible(None)
    assert asked == ["digits"]
    assert [line.partition(",")[0] for line in left_out] == [
        "left out: 'multi-query'",
        "left out: 'composed'",
        "left out of 'digits': the reasoner 'pillar-plus'",
    ]
    assert "pip install 'rerankit[demo]'" in left_out[0]


def test_nothing_is_trained_for_the_digits(tmp_path: Path) -> None:
    result = CliRunner().invoke(build(), ["demo", "digits", "--train", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "'multi-query' or 'composed'" in result.stderr


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(build(), ["demo", "digit", "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "digits" in result.stderr
