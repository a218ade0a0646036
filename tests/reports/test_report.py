from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Problem
from rerankit.bench import Result, bench, compare_results, score_set
from rerankit.cli import build
from rerankit.errors import FormatError, InputError
from rerankit.reports import report
from rerankit.reports.views import chapters, shift
from rerankit.statistics.render import scale
from rerankit.tasks import task

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")


class Tables(HTMLParser):
    """The figures of a page: value and text by part, system and metric."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[tuple[str, str, str], tuple[float, str]] = {}
        self.ceilings: dict[tuple[str, str], float] = {}
        self.links: list[str] = []
        self.part = self.system = self.metric = ""
        self.value, self.inside = 0.0, False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.links += [value for name in ("href", "src", "action") if (value := given.get(name))]
        if tag == "table":
            self.part = given.get("data-part") or "" if "figures" in str(given.get("class")) else ""
        elif tag == "tfoot":
            self.system = "ceiling"
        elif tag == "tr" and "data-system" in given:
            self.system = str(given["data-label"])
        elif tag == "td":
            self.metric = str(given.get("data-metric", ""))
            self.value = float(str(given["data-value"])) if self.metric else 0.0
            if self.system == "ceiling" and self.metric and self.part:
                self.ceilings[self.part, self.metric] = self.value
        self.inside = tag == "span" and "figure" in str(given.get("class"))

    def handle_data(self, data: str) -> None:
        if self.inside and self.part and self.metric:
            self.found[self.part, self.system, self.metric] = self.value, data
            self.inside = False


def test_its_numbers_are_those_of_the_results(results: list[Result], page: Path) -> None:
    found = Tables(page.read_text(encoding="utf-8"))
    wanted, ceilings = {}, {}
    for result in results:
        for part in result.to_dict()["parts"]:
            for system, figures in (("first stage", part["first"]), (result.label, part["stages"][-1]["evaluation"])):
                for metric, value in figures["figures"].items():
                    factor, digits = scale(metric)
                    wanted[part["name"], system, metric] = value, f"{factor * value:.{digits}f}"
            ceilings |= {(part["name"], metric): value for metric, value in part["ceiling"]["figures"].items()}
    assert found.found == wanted
    assert found.ceilings == ceilings


def test_intervals_and_marks_are_those_of_the_comparison(results: list[Result], page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for table in compare_results(results, samples=200).values():
        for cell in table.cells:
            factor, digits = scale(cell.metric)
            low, high = (f"{factor * end:.{digits}f}" for end in cell.interval)
            assert f"{low} … {high}" in text


def test_it_is_one_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = Tables(text).links
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    assert not re.search(r"url\((?!#|data:)", text)
    assert "@import" not in text


def test_what_comes_from_results_is_escaped(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "csls &lt;b&gt;" in text
    assert "csls <b>" not in text


def test_every_section_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for title in (
        "At a glance", "All figures", "Before and after", "Quality and cost", "Differences", "Ranks before and after",
        "Stage by stage", "Hubs", "Batch size", "Queries that moved most", "What was compared, and on what",
        "Where it ran",
    ):  # fmt: skip
        assert f">{title}<" in text, title
    assert text.count("<svg") > 20
    assert "var(--alone)" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert sorted(ids) == sorted(set(ids))


def test_provenance_is_told(results: list[Result], page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for result in results:
        assert result.key[:12] in text
        assert result.pipeline["checksum"][:12] in text
    assert results[0].task["sha256"] in text
    assert str(results[0].environment["numpy"]) in text


def test_the_same_results_give_the_same_page(results: list[Result]) -> None:
    once, twice = (report(results[2], parts=["image-to-text"], samples=200).html for _ in range(2))
    assert once == twice


def test_systems_are_sorted_and_the_metric_can_be_chosen(results: list[Result]) -> None:
    (chapter,) = chapters(results, samples=200)
    for view in chapter.views:
        values = [view.cell(system).value for system in view.systems]
        assert values == sorted(values, reverse=True)
        assert view.metric == "success@1"
    (chapter,) = chapters(results, "mean_rank", samples=200)
    values = [chapter.views[0].cell(system).value for system in chapter.views[0].systems]
    assert values == sorted(values)
    with pytest.raises(InputError, match="'metric' must be a metric of the results: success@1"):
        report(results, metric="map")


def test_kinds_say_what_is_looked_at(results: list[Result]) -> None:
    view = chapters(results, samples=200)[0].views[0]
    kinds = {system.label: (system.kind, system.labels) for system in view.systems}
    assert kinds == {
        "first stage": ("first", False),
        "sinkhorn": ("others", False),
        "csls <b>": ("bank", False),
        "dba": ("alone", False),
        "learned": ("others", True),
        "two steps": ("others", False),
    }


def test_shift_counts_every_query_once() -> None:
    before = np.array([1, 1, 7, 40, np.nan, np.nan, 3])
    after = np.array([1, 2, 1, np.nan, 30, np.nan, 3])
    found = shift(before, after, 10)
    assert found is not None
    assert found.names == ("1", "2", "3–5", "6–10", "> 10")
    assert (found.gained, found.same, found.lost, found.entered, found.left) == (2, 2, 2, 1, 1)
    assert sum(map(sum, found.counts)) == 6
    assert found.counts[0] == (1, 0, 0, 1, 0)
    assert shift(None, after, 10) is None


def test_old_results_have_a_report_too(results: list[Result]) -> None:
    old = copy.deepcopy(results[0].to_dict())
    for part in old["parts"]:
        for name in ("hubness", "examples", "batches"):
            part.pop(name)
        for row in part["stages"]:
            row.pop("hubness")
            row["evaluation"].pop("ranks")
        part["first"].pop("ranks")
    text = report(Result.from_dict({**old, "version": 2}), parts=["image-to-text"], samples=200).html
    assert ">All figures<" in text
    for title in ("Hubs", "Batch size", "Ranks before and after", "Queries that moved most"):
        assert f">{title}<" not in text


def test_several_backbones_and_tasks(tmp_path: Path) -> None:
    small = task("generic").write_miniature(tmp_path).load(tmp_path)
    rng = np.random.default_rng(0)
    sets = [score_set(small, rng.random(small.matrices["scores"].shape), label) for label in ("one", "two")]
    found = bench(small, sets, "mutual-rank", k=5)
    found += bench(task("generic", metrics=["mrr"]).load(tmp_path), sets[:1], "mutual-rank", k=5)
    text = report(found, samples=200, title="Two & three").html
    assert "<title>Two &amp; three</title>" in text
    names = re.findall(r'data-view="[^"]+" aria-selected="false">([^<]+)<', text)
    own = "Your own scores and relevance"
    assert names == [f"{own} · one · forward", f"{own} · two · forward", f"{own} · forward"]


def test_what_items_look_like(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra report is not installed")
    small = task("generic").write_miniature(tmp_path).load(tmp_path)
    queries, gallery = small.matrices["scores"].shape
    problem = Problem(np.random.default_rng(0).random((queries, gallery)))
    found = bench(small, problem, "mutual-rank", k=5)
    plain = report(found, samples=200).html
    assert "data:image" not in plain.replace('href="data:,"', "")
    pictures = [image.new("RGB", (20, 30), (9 * n, 0, 0)) for n in range(gallery)]
    texts = [f"query {n} says" for n in range(queries)]
    shown = problem.with_features(query_features={"text": texts}, gallery_features={"seen": pictures})
    drawn = report(found, samples=200, show=shown).html
    assert drawn.count("data:image/") <= gallery
    assert drawn.count('<use href="#p') > drawn.count("data:image/") > 0
    assert "says" in drawn
    with pytest.raises(InputError, match="'show' must name parts of the results: forward"):
        report(found, samples=200, show={"back": shown})


def test_pictures_by_path_that_are_gone_leave_the_text(results: list[Result], tmp_path: Path) -> None:
    found = copy.deepcopy(results[0].to_dict())
    for candidate in found["parts"][0]["examples"][0]["before"]:
        candidate["picture"] = str(tmp_path / "gone.png")
    text = report(Result.from_dict(found), parts=["image-to-text"], samples=200).html
    assert "gone.png" not in text
    assert "Queries that moved most" in text


def test_files_folders_and_the_command_line(results: list[Result], tmp_path: Path) -> None:
    for number, result in enumerate(results[:2]):
        result.write(tmp_path / "results" / f"{number}.json")
    out = tmp_path / "r.html"
    arguments = ["report", str(tmp_path / "results"), "--out", str(out), "--samples", "200", "--part", "image-to-text"]
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == 0, done.output
    assert "wrote Report(" in done.stderr
    whole = rerankit.report([tmp_path / "results" / "0.json", results[1]], samples=200, parts=["image-to-text"])
    assert out.read_text(encoding="utf-8") == whole.html
    assert "srcdoc=" in whole._repr_html_()
    assert CliRunner().invoke(build(), arguments).exit_code == 2
    assert "needs --problem" in CliRunner().invoke(build(), [*arguments, "--force", "--images", "{id}.png"]).output
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no results in it"):
        rerankit.report(tmp_path / "empty")
    with pytest.raises(FormatError, match="no such file"):
        rerankit.report(tmp_path / "nothing.json")
    with pytest.raises(InputError, match="'results' must hold at least one"):
        rerankit.report([])
