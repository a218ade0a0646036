from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import rerankit
from rerankit import Problem, Ranking, Relevance, write
from rerankit.cli import build
from rerankit.cli._queries import print_queries
from rerankit.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")
pytest.importorskip("jinja2", reason="the extra report is not installed")

RELEVANCE = Relevance.from_lists([[1], [2]], 3)
SCORES = np.array([[0.3, 0.2, 0.1], [0.1, 0.2, 0.3]], np.float32)
NEW = np.array([[0.1, 0.9, 0.3], [0.3, 0.2, 0.1]], np.float32)


@pytest.fixture
def problem() -> Problem:
    texts = [["is red", "is <long>"], ["is blue"]]
    return Problem(SCORES, query_ids=["q<1>", "q2"], gallery_ids=["a", "b", "c"], query_features={"captions": texts})


@pytest.fixture
def after(problem: Problem) -> Ranking:
    return problem.ranking().with_scores(NEW)


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    for number, name in enumerate("abc"):
        Image.new("RGB", (10, 20), (250, 80 * number, 0)).save(tmp_path / f"{name}.png")
    return [str(tmp_path / f"{name}.png") for name in "abc"]


@pytest.fixture
def pictured(problem: Problem, pictures: list[str]) -> Problem:
    return problem.with_features(query_features={"own_images": pictures[:2]}, gallery_features={"images": pictures})


def test_what_is_shown(problem: Problem, after: Ranking) -> None:
    sheet = rerankit.show(problem, after, relevance=RELEVANCE, k=2)
    assert repr(sheet) == "Sheet(q<1>)"  # the other query did not move
    first = sheet.examples[0]
    assert first.query.text == "is red · is <long>"
    assert first.ranks == (2.0, 1.0)
    assert [(each.face.name, each.right) for each in first.before] == [("a", False), ("b", True)]
    assert [(each.face.name, each.right) for each in first.after] == [("b", True), ("c", False)]
    excluded = Relevance.from_lists([[1], [2]], 3, exclude=[[0], []])
    (example,) = rerankit.show(problem, after, ["q<1>"], relevance=excluded, k=1).examples
    assert [each.face.name for each in (*example.before, *example.after)] == ["b", "b"]


def test_queries_are_rows_or_ids(problem: Problem, after: Ranking) -> None:
    assert [each.row for each in rerankit.show(problem, after, ["q2", 0]).examples] == [1, 0]
    assert [each.row for each in rerankit.show(problem, after, ["1"]).examples] == [1]
    assert len(rerankit.show(problem, after)) == 2
    assert rerankit.show(problem, after).examples[0].ranks == (None, None)
    wrong = r"rows or ids of the problem's queries \(got 2 of 3 unknown, such as \['q3', 2\]"
    with pytest.raises(InputError, match=wrong):
        rerankit.show(problem, after, ["q3", 2, 0])
    nameless = Problem(SCORES)
    with pytest.raises(InputError, match=r"must be rows, 0…1, of the problem's queries"):
        rerankit.show(nameless, nameless.ranking(), ["x"])
    with pytest.raises(InputError, match=r"'after' must be of the problem's 2 queries and 3 items \(got 1 × 3\)"):
        rerankit.show(problem, after.take([0]))
    with pytest.raises(InputError, match="'relevance' must have the problem's shape"):
        rerankit.show(problem, after, relevance=Relevance.from_lists([[1]], 3))


def test_another_run_to_begin_from(problem: Problem, after: Ranking) -> None:
    sheet = rerankit.show(problem, problem.ranking(), before=after, relevance=RELEVANCE)
    assert [each.ranks for each in sheet.examples] == [(1.0, 2.0)]


def test_a_page(problem: Problem, pictured: Problem, after: Ranking, tmp_path: Path) -> None:
    lists = rerankit.show(problem, after, [0], relevance=RELEVANCE)
    plain = lists.save(tmp_path / "plain.html").read_text(encoding="utf-8")
    assert "is red · is &lt;long&gt;" in plain
    assert "2 → 1" in plain
    assert plain.count(" ✓") == 2
    assert rerankit.show(problem, after, [0])._repr_html_().count("rank</small>") == 0
    sheet = rerankit.show(pictured, after, [0], relevance=RELEVANCE)
    page = sheet.save(tmp_path / "pictures.html").read_text(encoding="utf-8")
    assert page.count("data:image/") == 3
    assert page.count('<use href="#p') == 7
    assert not re.search(r'(?:href|src)="(?!#|data:)', page)
    assert "<body>" not in sheet._repr_html_()
    with pytest.raises(InputError, match="must not exist, unless overwrite=True"):
        sheet.save(tmp_path / "plain.html")
    assert "data:image/" in sheet.save(tmp_path / "plain.html", overwrite=True).read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture(problem: Problem, pictured: Problem, after: Ranking, tmp_path: Path, theme: str) -> None:
    sheet = rerankit.show(pictured, after, [0, 1], relevance=RELEVANCE)
    with Image.open(sheet.save(tmp_path / "q.png", theme)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    frame = {"light": (16, 134, 111), "dark": (69, 198, 168)}[theme]
    assert (pixels == frame).all(axis=2).sum() > 500
    assert (pixels == (250, 80, 0)).all(axis=2).sum() > 1000
    lists = rerankit.show(problem, after, relevance=RELEVANCE).save(tmp_path / "lists.svg", theme)
    assert "1. b" in lists.read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"'path' must end in .png, .svg, .pdf or .html"):
        sheet.save(tmp_path / "q.gif")


def test_a_picture_that_is_gone_is_said(pictured: Problem, after: Ranking, pictures: list[str], tmp_path: Path) -> None:
    Path(pictures[1]).unlink()
    sheet = rerankit.show(pictured, after, [0])
    assert "no picture" in sheet.save(tmp_path / "q.svg").read_text(encoding="utf-8")
    assert sheet.save(tmp_path / "q.html").read_text(encoding="utf-8").count("data:image/") == 2


def test_the_terminal(problem: Problem, pictured: Problem, after: Ranking, monkeypatch: pytest.MonkeyPatch) -> None:
    def printed(given: Problem, **look: object) -> str:
        console = Console(width=60, record=True, file=io.StringIO(), **look)  # type: ignore[arg-type]
        monkeypatch.setattr("rerankit.cli._queries.console", lambda: console)
        print_queries(rerankit.show(given, after, [0], relevance=RELEVANCE).examples)
        return console.export_text()

    lines = printed(problem).splitlines()
    assert lines[0].rstrip() == "is red · is <long>  q<1>  2 → 1"
    assert lines[2].split() == ["1.", "a", "1.", "b", "✓"]
    drawn = printed(pictured, force_terminal=True, color_system="truecolor")
    assert drawn.count("▀") == 7 * 14 * 7
    assert "1. b ✓" in drawn
    assert "▀" not in printed(pictured, force_terminal=False)


def test_the_command(pictures: list[str], tmp_path: Path) -> None:
    plain = Problem(SCORES, query_ids=["q1", "q2"], gallery_ids=["a", "b", "c"])
    after = plain.ranking().with_scores(NEW)
    worded = plain.with_features(query_features={"text": ["is red", "is blue"]})
    write(tmp_path / "problem.npz", worded, relevance=RELEVANCE)
    write(tmp_path / "after.npz", after)
    write(tmp_path / "after.run", after)

    def run(*words: object):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(build(), ["show", *map(str, words)])

    files = tmp_path / "problem.npz", tmp_path / "after.npz"
    shown = run(*files)
    assert shown.exit_code == 0, shown.output
    assert "2 → 1" in shown.output
    assert run(tmp_path / "problem.npz", tmp_path / "after.run").output == shown.output
    assert json.loads(run(*files, "q2", "--json").stdout)[0]["query"]["name"] == "q2"
    where = "--images", tmp_path / "{id}.png", "--query-images", tmp_path / "{id}-none.png"
    done = run(*files, "--out", tmp_path / "q.html", *where)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "q.html").read_text(encoding="utf-8").count("data:image/") == 3
    assert "must not exist" in run(*files, "--out", tmp_path / "q.html").output
    assert run(*files, "--out", tmp_path / "q.html", "--force").exit_code == 0
    assert "'--images' must be a path with {id}" in run(*files, "--images", "pictures").output
    assert "unknown theme 'grey'" in run(*files, "--theme", "grey").output
    assert "no query moved" in run(*files, "--before", tmp_path / "after.npz").stderr


def test_a_long_text_has_two_lines_in_a_picture(tmp_path: Path) -> None:
    said = ["word " * 25, "few words", "word " * 200]
    problem = Problem(np.eye(3), query_features={"text": said})
    path = rerankit.show(problem, problem.ranking(), k=2).save(tmp_path / "sheet.svg")
    lines = re.findall(r">((?:word ?)+…?|few words)<", path.read_text(encoding="utf-8"))
    assert [line for line in lines if line == "few words"] == ["few words"]
    assert sum("word " in line for line in lines) == 4
    assert sum(line.endswith("…") for line in lines) == 1
