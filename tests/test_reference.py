"""The reference pages of stages, which the site's generator writes from code, say what the code does."""

from __future__ import annotations

import inspect
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import figures
import gains
from figures import FIGURES
from rerankit.builtins import STAGES
from rerankit.plugins import manager

REPOSITORY = Path(__file__).parents[1]


def _generator() -> Any:
    place = spec_from_file_location("stage_pages", REPOSITORY / "docs" / "extra" / "stages.py")
    assert place is not None
    assert place.loader is not None
    module = module_from_spec(place)
    place.loader.exec_module(module)
    return module


GENERATOR = _generator()
PAGES = GENERATOR.pages()


def _words(text: str) -> list[str]:
    return sorted(text.split())


def test_every_stage_has_a_page_and_the_overview_links_it() -> None:
    assert set(PAGES) == {"stages/index.md", *(f"stages/{name}.md" for name in STAGES)}
    assert [name for name in STAGES if f"[`{name}`]({name}.md)" not in PAGES["stages/index.md"]] == []


@pytest.mark.parametrize("name", STAGES)
def test_a_page_is_whole(name: str) -> None:
    text, factory = PAGES[f"stages/{name}.md"], manager().stages.entry(name).load()
    assert factory.citation in text
    for each in inspect.signature(factory).parameters.values():
        default = "(required)" if each.default is each.empty else f"`{each.default!r}`"
        assert f"| `{each.name}` | {default} |" in text
    body = re.findall(
        r"^## (?:What it computes|When it helps, and when it loses)\n\n(.*?)\n\n(?=## )", text, re.M | re.S
    )
    said = inspect.getdoc(factory).partition(">>>")[0].partition("\n\n")[2]
    assert _words(" ".join(body)) == _words(said), "a sentence of the docstring is missing"
    for path in re.findall(r"\]\(\.\./([\w-]+\.md)\)", text):
        assert (REPOSITORY / "docs" / path).exists()


def test_what_a_parameter_takes_is_what_its_check_says() -> None:
    assert list(GENERATOR.rules("nnn", "neighbours")) == ["a whole number", "at least 1"]
    assert list(GENERATOR.rules("nnn", "published")) == ["true or false"]
    assert list(GENERATOR.rules("metric", "shrink")) == ["a finite number", "at least 0", "at most 1"]
    assert list(GENERATOR.rules("consensus", "voters")) == ["gallery, larger, query"]
    assert list(GENERATOR.rules("hmrn", "scale")) == ["a finite number", "above 0"]
    assert list(GENERATOR.rules("maxsim", "device")) == []
    assert "| `device` | `'auto'` | `str` |" in PAGES["stages/maxsim.md"]
    assert "| `text_model` | `None` | `str` or `None` |" in PAGES["stages/hmrn.md"]
    assert "| `processor` | `None` | anything: see above |" in PAGES["stages/cross-encoder.md"]


def test_what_is_said_of_the_published_form_stays_beside_it() -> None:
    loses = re.search(r"when it loses\n\n(.*?)\n\n", PAGES["stages/mutual-neighbours.md"], re.S)
    assert loses is not None
    assert loses[1] == "It loses where several queries rightly want one item."
    beside = re.search(r"when it loses\n\n(.*?)\n\n", PAGES["stages/dual-is.md"], re.S)
    assert beside is not None
    assert beside[1] == "It loses where `inverted-softmax` does."


def test_flags_and_what_is_prepared() -> None:
    facts = {name: dict(re.findall(r"^- \*\*([\w ]+)\*\*: (.*)$", PAGES[f"stages/{name}.md"], re.M)) for name in STAGES}
    looks = {name: each["looks at other queries"] for name, each in facts.items()}
    assert (looks["nnn"], looks["plan"], looks["dba"]) == ("yes; with a bank no", "yes; with a bank no", "no")
    assert facts["dba"]["needs"] == "similarities among the items"
    assert facts["maxsim"]["needs"] == "the feature `tokens` of the queries, the feature `tokens` of the items"
    assert facts["nnn"]["prepared for a gallery"] == "a number for each item"
    assert facts["consensus"]["prepared for a gallery"].endswith("its nearest items that vote")
    assert {name for name, each in facts.items() if each["trained"] != "no"} >= {"metric", "pillar", "calibrate"}


def test_measured_rows_are_those_that_were_recorded() -> None:
    page = PAGES["stages/nnn.md"]
    for title in gains.PANEL["gains"]:
        own = [each for each in gains.cells(title) if each["stage"] == "nnn"]
        mean, worst = sum(each["gain"] for each in own) / len(own), min(own, key=lambda each: each["gain"])
        assert f"| {title} | {len(own)} | {mean:+.1f} | {worst['gain']:+.1f} | {worst['view']} |" in page


def test_the_panel_on_the_page_is_the_one_that_was_recorded() -> None:
    text = (REPOSITORY / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if re.match(r"\| `[a-z-]+` \| (46|6) \|", line)]
    shown = {row[0].strip(" `"): [float(cell.strip(" *")) for cell in row[2:]] for row in rows}
    assert len(shown) == len({each["stage"] for each in gains.cells(gains.TOGETHER)})
    for name, given in shown.items():
        runs = [[gain for _, gain in found] for found in gains.gains(name).values()]
        expected = [figure for found in runs for figure in (sum(found) / len(found), min(found))]
        assert given == pytest.approx(expected, abs=0.0551), name


def test_fitted_stages_show_their_rows_of_the_other_tables() -> None:
    assert "| COCO pairs, CLIP ViT-B/16 | pillar-plus | 55.20 → 64.60 |" in PAGES["stages/pillar-plus.md"]


def test_every_stage_says_what_it_costs_when_it_loses_and_what_was_measured() -> None:
    sections = ("What it computes", "When it helps, and when it loses", "Measured", "Parameters", "Citation")
    for name in STAGES:
        text = PAGES[f"stages/{name}.md"]
        assert re.search(r"^- \*\*cost\*\*: \S", text, re.M), name
        assert [each for each in sections if not re.search(rf"^## {each}\n\n\S", text, re.M)] == [], name
        assert not re.search(r"^\| `\w+` \|.*\|\s*\|$", text, re.M), f"{name}: what a parameter takes is not said"
        assert re.search(r"^## Measured\n\n(?:.*\n)*?!\[", text, re.M), f"{name} has no picture of what was measured"


def test_passages_of_other_pages_are_shown_with_links_that_hold() -> None:
    text = PAGES["stages/hmrn.md"]
    assert "| I-T | 62.1 % | 63.0 % | 75.5 % |" in text
    pictures = re.findall(r"\]\(\.\./(images/[\w-]+\.png)#", text)
    assert pictures == ["images/hmrn-rounds.png", "images/hmrn-rounds-dark.png"]
    assert all((REPOSITORY / "docs" / path).exists() for path in pictures)
    assert "([how](../benchmarks.md#one-at-a-time))" in PAGES["stages/metric.md"]
    for path in (REPOSITORY / "docs").glob("*.md"):
        page = re.sub(r"`[^`\n]*`", "", path.read_text(encoding="utf-8"))  # what is quoted is no mark
        names = [name for found in re.findall(r"<!-- measured: (.*?) -->", page) for name in found.split()]
        assert set(names) <= set(STAGES), path.name
        assert page.count("<!-- measured: ") == page.count("<!-- end: measured -->"), path.name


def test_a_page_that_asks_for_a_view_gets_its_table() -> None:
    text = gains.on_page_markdown("before\n\n<!-- gains: CLIP t→i -->\n\nafter")
    assert text.startswith("before\n\n| stage |")
    assert text.endswith("|\n\nafter")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    cell = next(each for each in gains.cells(gains.TOGETHER) if (each["stage"], each["view"]) == ("csls", "CLIP t→i"))
    assert f"| {cell['base']:.1f} | {cell['gain']:+.1f} (" in rows["csls"]


def test_every_stage_of_the_panel_has_its_picture_for_both_grounds() -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    names = {each["stage"] for each in gains.cells(gains.TOGETHER)}
    pictures = gains.pictures()
    fitted = {"learned-fusion", "pillar-plus", "pillar-small"}  # `fuse` and `calibrate` move nothing there
    assert set(pictures) == {f"stages/{name}" for name in names | fitted | set(FIGURES)}
    assert sorted(gains.fitted_gains("pillar-plus")) == ["pillar-plus", "pillar-plus, test queries"]
    assert ("COCO pairs, CLIP ViT-B/16", pytest.approx(9.4)) in gains.fitted_gains("pillar-plus")["pillar-plus"]
    for name in names | fitted | set(FIGURES):
        assert f"({name}.svg#only-light)" in PAGES[f"stages/{name}.md"]
    some = {"stages/nnn": pictures["stages/nnn"]}
    drawn = gains.drawn(some)
    assert set(drawn) == {f"{path}{ending}.svg" for path in some for ending in ("", "-dark")}
    assert all(content.startswith(b"<?xml") for content in drawn.values())


@pytest.mark.parametrize("name", ["gains.svg", "gains-dark.svg"])
def test_the_chart_of_the_first_page_shows_what_was_recorded(name: str) -> None:
    text = (REPOSITORY / "docs/images" / name).read_text(encoding="utf-8")
    shown = re.findall(r">([+−-]\d+\.\d)</text>", text)
    assert shown == [f"{mean:+.1f}" for found in gains.means().values() for mean in found]


def test_tables_of_pages_are_read_as_they_stand() -> None:
    assert figures.table("benchmarks.md", "| bank of labelled pairs |")[0] == [
        "scores as they are",
        *("63.0", "54.3", "49.1", "37.7"),
    ]
    assert figures.number("−1.1 points") == -1.1
    assert figures.number("1,024 ms") == 1024
    rows = figures.pillar_rows()
    assert len(rows) == 12
    assert rows[2] == ("captions i→t", "pillar", (1.7, 0.1, 3.4))
    assert rows[6] == ("CLIP i→t", "pillar", (-3.1, -6.5, 0.5))
    with pytest.raises(LookupError, match="no table"):
        figures.table("benchmarks.md", "| nothing of the kind |")


@pytest.mark.parametrize("name", ["metric", "pillar", "cross-encoder", "maxsim", "remote"])
def test_what_is_drawn_from_tables_is_drawn(name: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    drawn = gains.drawn({name: (FIGURES[name].draw, FIGURES[name].size)})
    assert all(content.startswith(b"<?xml") for content in drawn.values())


def test_what_is_computed_on_digits_is_what_the_stages_do() -> None:
    alone = figures.recall(figures.ranked())
    assert figures.fused("scores")[0] == alone
    assert figures.fused("scores")[-1] < alone  # the second model is the weaker one
    assert (figures.cut("sinkhorn", 1).indices == figures.ranked().indices).all()
    whole = figures.steps()["sinkhorn"]
    assert (figures.cut("sinkhorn", figures.CANDIDATES).indices == whole.indices).all()
    low, *_, high = figures.reliability("temperature")
    assert low[1] < high[1]
    assert abs(high[0] - high[1]) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fuse", "calibrate", "auto", "pipeline", "top"])
def test_what_is_computed_on_digits_is_drawn(name: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    drawn = gains.drawn({name: (FIGURES[name].draw, FIGURES[name].size)})
    assert len(drawn) == 2
    assert all(content.startswith(b"<?xml") for content in drawn.values())
