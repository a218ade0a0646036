"""The page in a browser: no errors, nothing fetched, and what can be pressed works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

VIEW = ".view:not([hidden])"
ROWS = f"return [...document.querySelectorAll('{VIEW} table.figures tbody tr')]"
VISIBLE = f"{ROWS}.filter(row => row.offsetParent)"
SHOWN = f"{VISIBLE}.map(row => row.dataset.label)"


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_opens_without_an_error(browser: Any, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark)
    assert browser.wait_for("return document.documentElement.classList.contains('ready')")
    assert browser.log() == []
    assert browser.run("return performance.getEntriesByType('resource').map(each => each.name)") == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 24, 30)" if dark else "rgb(255, 255, 255)")
    narrow = browser.run("return getComputedStyle(document.querySelector('.narrow')).display")
    assert narrow == ("block" if width == 390 else "none")


def test_what_a_pipeline_looks_at_is_as_wide_as_its_words(browser: Any, page: Path) -> None:
    browser.open(page)
    shown = browser.run("""
        const marks = [...document.querySelectorAll('.looks')].filter(mark => mark.offsetParent);
        return marks.map(mark => [mark.className, getComputedStyle(mark).display])""")
    assert {name for name, _ in shown} == {"looks queries", "looks bank", "looks labels"}
    assert {display for _, display in shown} == {"inline-block"}


@pytest.mark.parametrize("width", [390, 1280])
def test_text_does_not_leave_its_chart(browser: Any, page: Path, width: int) -> None:
    browser.open(page, width)
    beyond = browser.run("""
        const outside = (text, box) => {
          const own = text.getBoundingClientRect();
          return own.left < box.left - 2 || own.right > box.right + 2;
        };
        return [...document.querySelectorAll('.plot')].filter(plot => plot.getBoundingClientRect().width)
          .flatMap(plot => [...plot.querySelectorAll('text')]
            .filter(text => outside(text, plot.getBoundingClientRect())).map(text => text.textContent))""")
    assert beyond == []


def test_the_theme_can_be_turned(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.run("document.getElementById('theme').click()")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 30)"


def test_parts_are_shown_one_at_a_time(browser: Any, page: Path) -> None:
    browser.open(page)
    visible = "return [...document.querySelectorAll('.view')].map(view => !view.hidden)"
    assert browser.run(visible) == [True, False]
    browser.run("document.querySelectorAll('[data-view]')[1].click()")
    assert browser.run(visible) == [False, True]


def test_a_head_sorts(browser: Any, page: Path) -> None:
    browser.open(page)
    column = f"{ROWS}.map(row => +row.cells[arguments[0]].dataset.value)"
    click = f"document.querySelectorAll('{VIEW} table.figures thead th')[arguments[0]].click()"
    first = browser.run(column, 1)
    assert first == sorted(first, reverse=True)
    browser.run(click, 3)
    down = browser.run(column, 3)
    assert down == sorted(down, reverse=True)
    browser.run(click, 3)
    assert browser.run(column, 3) == sorted(down)
    browser.run(click, 0)
    names = browser.run(f"{ROWS}.map(row => row.dataset.label)")
    assert names == sorted(names, key=str.lower)


def test_filters_hide_pipelines_and_find_the_best_of_the_rest(browser: Any, page: Path) -> None:
    browser.open(page)
    everybody = set(browser.run(SHOWN))
    browser.run("document.querySelector('[data-kind=others]').click()")
    assert set(browser.run(SHOWN)) == {"first stage", "csls <b>", "dba"}
    values = dict(browser.run(f"{VISIBLE}.map(row => [row.dataset.label, +row.cells[1].dataset.value])"))
    best = browser.run(f"{VISIBLE}.filter(row => row.cells[1].querySelector('.best')).map(row => row.dataset.label)")
    assert set(best) == {name for name, value in values.items() if value == max(values.values())}
    assert browser.run("return document.querySelectorAll('.mark.off').length") > 0
    browser.run("document.querySelector('[data-kind=others]').click()")
    assert set(browser.run(SHOWN)) == everybody
    box = "const box = document.getElementById('search');"
    browser.run(f"{box} box.value = 'DB'; box.dispatchEvent(new Event('input'))")
    assert set(browser.run(SHOWN)) == {"first stage", "dba"}


def test_labels_can_be_left_out(browser: Any, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('[data-kind=labels]').click()")
    assert "learned" not in browser.run(SHOWN)
    assert "sinkhorn" in browser.run(SHOWN)


def test_one_pipeline_is_picked(browser: Any, page: Path) -> None:
    browser.open(page)
    section = f"document.querySelector('{VIEW} [id$=moves]')"
    of = (
        f"return [...{section}.querySelectorAll('[data-of]')].filter(each => !each.hidden).map(each => each.dataset.of)"
    )
    before = browser.run(of)
    assert len(before) == 1
    pick = f"const pick = {section}.querySelector('select');"
    browser.run(f"{pick} pick.selectedIndex = 2; pick.dispatchEvent(new Event('change'))")
    after = browser.run(of)
    assert len(after) == 1
    assert after != before


def test_pointing_tells(browser: Any, page: Path) -> None:
    browser.open(page)
    told = browser.run("""
        const mark = [...document.querySelectorAll('.mark')].find(each => each.getBoundingClientRect().width);
        mark.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}));
        const tip = document.getElementById('tip');
        const found = [tip.textContent, mark.dataset.tip, tip.classList.contains('on'), mark.classList.contains('lit')];
        mark.dispatchEvent(new PointerEvent('pointerout', {bubbles: true}));
        return [...found, tip.classList.contains('on')]""")
    assert told[0] == told[1] != ""
    assert told[2:] == [True, True, False]


@pytest.mark.parametrize("pressed", [False, True])
def test_paper_is_light_and_has_all_parts_and_no_buttons(browser: Any, page: Path, pressed: bool) -> None:
    browser.open(page, dark=not pressed)
    if pressed:
        browser.run("document.getElementById('theme').click()")
    mark = "const mark = document.querySelectorAll('.mark[data-system]')[0];"
    browser.run(f"{mark} mark.dispatchEvent(new PointerEvent('pointerover', {{bubbles: true}}))")
    scheme = {"name": "prefers-color-scheme", "value": "light" if pressed else "dark"}
    browser.command("Emulation.setEmulatedMedia", {"media": "print", "features": [scheme]})
    shown = "return [...document.querySelectorAll(arguments[0])].map(each => getComputedStyle(each).display)"
    assert browser.run(shown, ".view") == ["block", "block"]
    assert set(browser.run(shown, ".bar, .filters")) == {"none"}
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tile = "return getComputedStyle(document.querySelector('.tile')).backgroundColor"
    assert browser.run(tile) == "rgb(245, 247, 249)"
    marks = "return [...document.querySelectorAll('.mark[data-system]')].map(mark => getComputedStyle(mark).opacity)"
    assert set(browser.run(marks)) == {"1"}, "nothing is dimmed on paper"
    browser.command("Emulation.setEmulatedMedia", {"media": ""})
