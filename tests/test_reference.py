"""The reference pages of stages, which the site's generator writes from code, say what the code does."""

from __future__ import annotations

import inspect
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

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
    assert list(GENERATOR.rules("maxsim", "device")) == []


def test_what_is_said_of_the_published_form_stays_beside_it() -> None:
    loses = re.search(r"when it loses\n\n(.*?)\n\n", PAGES["stages/mutual-neighbours.md"], re.S)
    assert loses is not None
    assert loses[1] == "It loses where several queries rightly want one item."
    assert "when it loses" not in PAGES["stages/dual-is.md"]


def test_flags_and_what_is_prepared() -> None:
    facts = {name: dict(re.findall(r"^- \*\*([\w ]+)\*\*: (.*)$", PAGES[f"stages/{name}.md"], re.M)) for name in STAGES}
    looks = {name: each["looks at other queries"] for name, each in facts.items()}
    assert (looks["nnn"], looks["consensus"], looks["dba"]) == ("yes; with a bank no", "yes, always", "no")
    assert facts["dba"]["needs"] == "similarities among the items"
    assert facts["maxsim"]["needs"] == "the feature `tokens` of the queries, the feature `tokens` of the items"
    assert facts["nnn"]["prepared for a gallery"] == "a number for each item"
    assert facts["consensus"]["prepared for a gallery"].startswith("no:")
    assert {name for name, each in facts.items() if each["trained"] != "no"} >= {"metric", "pillar", "calibrate"}
