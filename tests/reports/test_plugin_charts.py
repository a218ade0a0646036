"""Charts that plugins have registered: on the page, or left out with a warning that names the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rerankit import hookimpl, plugins
from rerankit.bench import Result, bench
from rerankit.errors import RerankitWarning
from rerankit.plugins import manager
from rerankit.reports import Canvas, Chart, View, chart, report
from rerankit.tasks import task

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")


def bars(view: View) -> Chart:
    def draw(canvas: Canvas) -> None:
        axes = canvas.figure.subplots()
        for place, system in enumerate(view.systems):
            axes.bar(place, system.last.queries, color=canvas.colour(system), gid=canvas.tip("so many", system.key))

    return chart(f"{view.key}-bars", "Bars of a plugin", "How many queries there were.", draw, lambda narrow: 2.0)


def nothing(view: View) -> None:
    return None


def broken(view: View) -> Chart:
    raise ZeroDivisionError("by naught")


def misnamed(view: View) -> Chart:
    return Chart("mine", "", "", "", "")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """One pipeline on one part: drawing takes long."""
    folder = tmp_path_factory.mktemp("data")
    small = task("generic").write_miniature(folder)
    return bench(small, np.random.default_rng(0).normal(size=(6, 9)), "nnn", data=folder, k=5)


@pytest.fixture
def offer() -> Iterator[Any]:
    def register(**charts: Any) -> None:
        class Plugin:
            @hookimpl
            def rerankit_register_charts(self, register: Any) -> None:
                for name, function in charts.items():
                    register(name, function)

        assert not manager().register(Plugin(), "sample", "dist-sample 1.0").faults

    plugins.reset()
    yield register
    plugins.reset()


def test_a_chart_of_a_plugin_is_on_the_page(results: list[Result], offer: Any) -> None:
    before = report(results, samples=200).html
    offer(bars=bars, nothing=nothing)
    page = report(results, samples=200).html
    assert "Bars of a plugin" not in before
    assert "Bars of a plugin" in page
    assert "so many" in page
    views = before.count("Before and after</h3>")
    assert page.count("How many queries there were.") >= views > 0
    assert page.index("Before and after</h3>") < page.index("Bars of a plugin</h3>")


@pytest.mark.parametrize(
    ("function", "told"),
    [(broken, "failed: ZeroDivisionError: by naught"), (misnamed, "must return a Chart whose key")],
)
def test_a_broken_chart_is_left_out(results: list[Result], offer: Any, function: Any, told: str) -> None:
    offer(mine=function)
    with pytest.warns(RerankitWarning, match=rf"^plugin 'sample' \(dist-sample 1.0\): chart 'mine' {told}"):
        page = report(results, samples=200).html
    assert "Before and after" in page
