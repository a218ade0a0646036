from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from rerankit import Looks, evaluate
from rerankit.errors import InputError
from rerankit.statistics import Comparison, compare, wide
from rerankit.statistics.wide import CUTS


def table(seed: int, metrics: tuple[str, ...] = CUTS) -> Comparison:
    rng = np.random.default_rng(seed)
    right, noise = rng.integers(0, 30, 90), rng.random((90, 30))
    made = {}
    for name, strength in (("base_1", 0.2), ("best", 0.8), ("second", 0.7)):
        scores = noise.copy()
        scores[np.arange(90), right] += strength
        made[name] = evaluate(scores, right, metrics)
    return replace(compare(made, samples=400), looks_at={"best": Looks(queries=True, labels=True)})


@pytest.fixture
def tables() -> dict[str, Comparison]:
    return {"image-to-text": table(0), "text-to-image": table(1)}


def test_figures_and_their_places_are_those_of_the_comparisons(tables: dict[str, Comparison]) -> None:
    made = wide(tables)
    assert [part for part, _ in made.groups] == ["image-to-text", "text-to-image", ""]
    for at, (part, metric) in enumerate((part, metric) for part in tables for metric in CUTS):
        column = {name: entries[at] for name, _, entries in made.rows}
        cells = {name: tables[part].cell(name, metric) for name in column}
        assert {name: entry.value for name, entry in column.items()} == {n: c.value for n, c in cells.items()}
        assert {name: entry.mark for name, entry in column.items()} == {n: c.mark for n, c in cells.items()}
        order = sorted(cells, key=lambda name: -cells[name].value)
        assert [column[name].place for name in order] == [1, 2, 0]
    assert made.rows[1][2][-1].value == pytest.approx(sum(100 * entry.value for entry in made.rows[1][2][:-1]))


def test_styles(tables: dict[str, Comparison]) -> None:
    made = wide(tables)
    text = made.render().splitlines()
    assert text == repr(made).splitlines()
    assert text[0].split() == ["image-to-text", "text-to-image"]
    assert text[1].split() == ["system", "looks", "at", *["R@1", "R@5", "R@10"] * 2, "rSum"]
    assert [line.split()[:2] for line in text[3:6]] == [
        ["base_1", text[3].split()[1]],
        ["best", "TL"],
        ["second", text[5].split()[1]],
    ]
    best = f"{100 * tables['image-to-text'].cell('best', 'success@1').value:.1f}"
    assert f"*{best}+" in text[4]
    assert f"| best | TL | **{best}** + |" in made.render("md")
    latex = made.render("latex")
    assert rf"best & TL & \textbf{{{best}}}$^{{+}}$ &" in latex
    assert r"\multicolumn{3}{c}{image-to-text} & \multicolumn{3}{c}{text-to-image}" in latex
    assert r"\cmidrule(lr){3-5}\cmidrule(lr){6-8}" in latex
    assert r"base\_1 &  & " in latex
    assert r"\underline{" in latex
    assert f"<b>{best}</b><sup>+</sup>" in made.render("html")
    assert made._repr_html_() == made.render("html")
    rows = list(csv.DictReader(io.StringIO(made.render("csv"))))
    assert float(rows[1]["image-to-text R@1"]) == tables["image-to-text"].cell("best", "success@1").value
    assert "T looks at the other test queries; L was fitted with labels." in made.caption
    assert "B looks" not in made.caption
    with pytest.raises(InputError, match="unknown style '"):
        made.render("word")


def test_lower_is_better_where_it_is() -> None:
    made = wide({"one": table(0, ("mean_rank",))})
    values = [row[2][0].value for row in made.rows]
    assert made.rows[int(np.argmin(values))][2][0].place == 1
    assert [part for part, _ in made.groups] == ["one"]


def test_equal_figures_have_no_best() -> None:
    same = evaluate(np.eye(5), range(5), ["success@1"])
    made = wide({"one": compare({"a": same, "b": same}, samples=200)}, digits=2)
    assert [entry.place for _, _, entries in made.rows for entry in entries] == [0, 0]
    assert made.rows[0][2][0].text == "100.00"
    assert made.names == ["system"]


def test_what_cannot_stand_side_by_side(tables: dict[str, Comparison]) -> None:
    with pytest.raises(InputError, match="'tables' must hold at least one"):
        wide({})
    other = compare({"x": evaluate(np.eye(5), range(5), CUTS)}, samples=200)
    with pytest.raises(InputError, match="must compare the same systems"):
        wide({**tables, "other": other})


def test_parts_that_do_not_fit_stand_below(tables: dict[str, Comparison]) -> None:
    made = wide(tables)
    assert made.split(1000) == [made]
    for room in (50, 60):
        parts = made.split(room)
        assert max(len(line) for each in parts for line in each.grid().splitlines()) <= room
        assert tuple(group for each in parts for group in each.groups) == made.groups
        joined = [tuple(entry for each in parts for entry in each.rows[row][2]) for row in range(len(made.rows))]
        assert joined == [entries for _, _, entries in made.rows]
    assert [len(each.groups) for each in made.split(1)] == [1, 1, 1]
