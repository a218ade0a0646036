from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rerankit import Ranking
from rerankit.cli import build
from rerankit.demo import CONTENDERS, Halves, Outcome, contest, draw, halves, table
from rerankit.demo.contest import BASE, BEST
from rerankit.demo.picture import chosen, place_of

pytest.importorskip("sklearn", reason="scikit-learn is not installed")


@pytest.fixture(scope="module")
def digits() -> Halves:
    return halves()


@pytest.fixture(scope="module")
def outcomes(digits: Halves) -> list[Outcome]:
    return list(contest(digits))


def test_the_problem_is_real_and_its_relevance_is_right(digits: Halves) -> None:
    assert repr(digits.problem).startswith("Problem(900 queries × 900 items, with query_scores, gallery_scores")
    assert digits.own.of(5).items.tolist() == [5]
    graded = digits.graded.of(5)
    assert (digits.digits[graded.items] == digits.digits[5]).all()
    assert len(graded.items) == int((digits.digits == digits.digits[5]).sum())
    assert graded.grades[graded.items == 5].tolist() == [2]
    assert digits.uppers.shape == digits.lowers.shape == (900, 4, 8)


def test_every_contender_re_ranks_the_same_candidates(digits: Halves, outcomes: list[Outcome]) -> None:
    assert tuple(outcome.name for outcome in outcomes) == CONTENDERS
    first = np.sort(outcomes[0].ranking.indices, axis=1)
    for outcome in outcomes:
        np.testing.assert_array_equal(np.sort(outcome.ranking.indices, axis=1), first)
    rows = {row["contender"]: row for row in table(digits, outcomes)}
    assert len({row["ceiling"] for row in rows.values()}) == 1
    for figure in ("success@1", "success@5", "success@10"):
        assert rows[BASE][figure] < rows["mutual-rank"][figure] < rows[BEST][figure] < rows[BASE]["ceiling"]
    assert rows[BASE]["mAP"] < rows["fusion"]["mAP"]


def test_the_table_of_the_readme_is_the_demos(digits: Halves, outcomes: list[Outcome]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    for row in table(digits, outcomes):
        line = next(line for line in readme.splitlines() if line.startswith(f"| {row['contender']} |"))
        shown = [float(cell) for cell in line.split("|")[2:-1]]
        assert shown == pytest.approx(list(row.values())[1:-1], abs=0.5), row["contender"]


def test_places() -> None:
    ranking = Ranking([[2, 0], [0, 1], [1, 0]], [[2, 1]] * 3, gallery_size=3)
    assert place_of(ranking, np.arange(3)).tolist() == [2, 2, 3]


def test_the_picture_shows_gains_and_a_loss(digits: Halves, outcomes: list[Outcome], tmp_path: Path) -> None:
    before = digits.problem.ranking(20)
    rounds = {outcome.name: outcome.ranking for outcome in outcomes}
    rows = chosen(before, rounds[BEST])
    own = np.arange(900)
    old, new = place_of(before, own)[rows], place_of(rounds[BEST], own)[rows]
    assert (new[:-1] == 1).all()
    assert (old[:-1] > 1).all()
    assert (old[-1], new[-1] > 1) == (1, True)
    path = draw(digits, before, rounds[BEST], tmp_path / "deep" / "digits.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 30_000


def test_the_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(build(), ["demo", "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    assert [row["contender"] for row in json.loads(result.stdout)] == list(CONTENDERS)
    assert str(tmp_path / "out" / "digits.png") in result.stderr
    assert (tmp_path / "out" / "digits.png").is_file()


def test_without_the_extra_the_install_line_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("rerankit.extras.find_spec", lambda name: None)
    result = CliRunner().invoke(build(), ["demo", "--out", str(tmp_path / "out")])
    assert result.exit_code == 3
    assert "pip install 'rerankit[demo]'" in result.stderr
    assert not (tmp_path / "out").exists()
