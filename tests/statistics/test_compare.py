from __future__ import annotations

import csv
import io
import time
from dataclasses import replace

import numpy as np
import pytest

from rerankit import Looks, evaluate
from rerankit.errors import InputError
from rerankit.statistics import compare, wide
from rerankit.statistics.render import csv_of, escaped


def systems(queries: int = 80, gallery: int = 20):
    rng = np.random.default_rng(0)
    right = rng.integers(0, gallery, queries)
    noise = rng.random((queries, gallery))
    made = {}
    for name, strength in (("base", 0.3), ("better", 0.7), ("worse", 0.0)):
        scores = noise.copy()
        scores[np.arange(queries), right] += strength
        made[name] = evaluate(scores, right, ["success@1", "mean_rank", "median_rank"])
    return made


def test_table() -> None:
    made = systems()
    table = compare(made, samples=1000)
    assert [cell.system for cell in table.cells[::3]] == ["base", "better", "worse"]
    assert table.cell("base", "success@1").p is None
    better, worse = table.cell("better", "success@1"), table.cell("worse", "success@1")
    assert (better.mark, worse.mark) == ("+", "−")
    assert table.cell("better", "mean_rank").mark == "+"  # lower is better
    assert (table.cell("better", "mean_rank").difference or 0) < 0
    assert better.value == made["better"]["success@1"]
    assert better.interval[0] <= better.value <= better.interval[1]
    assert (better.difference_interval or (0, 0))[0] <= (better.difference or 0)
    assert (better.adjusted or 0) >= (better.p or 0)
    effect = better.effect
    assert effect is not None
    assert effect.wins + effect.ties + effect.losses == 80
    assert effect.size > 0


@pytest.mark.parametrize("test", ["randomisation", "bootstrap", "student-t"])
def test_tests(test: str) -> None:
    table = compare(systems(), metrics=["success@1"], test=test, samples=500)  # type: ignore[arg-type]
    assert (table.cell("better", "success@1").p or 1) < 0.05
    assert test in repr(table)


def test_too_few_samples_for_any_mark_are_named() -> None:
    metrics = ["success@1", "mean_rank", "median_rank"]
    few, enough = (compare(systems(), metrics=metrics, samples=samples) for samples in (100, 200))
    assert not any(cell.mark for cell in few.cells)
    assert any(cell.mark for cell in enough.cells)
    assert "No p can be below 0.059 with so few samples, so nothing has a mark." in few.render()
    assert "so few samples" in wide({"a": few}).render()
    assert "so few samples" not in enough.render() + wide({"a": enough}).render()


def test_a_bootstrap_of_few_queries_or_groups_says_so() -> None:
    plan = {"metrics": ["success@1"], "samples": 300}
    labels = np.arange(80) // 6
    few = compare(systems(), test="bootstrap", groups=labels, **plan)
    words = "Of 14 groups a bootstrap marks too much: prefer the randomisation test."
    assert words in few.render()
    assert words in wide({"a": few}).render()
    for enough in (compare(systems(), groups=labels, **plan), compare(systems(), test="bootstrap", **plan)):
        assert "marks too much" not in enough.render()


def test_renderings() -> None:
    table = compare(systems(), baseline="worse", metrics=["success@1", "mean_rank"], samples=300)
    text = table.render()
    assert text == repr(table)
    assert "against 'worse'" in text
    assert "Holm over 4 tests" in text
    markdown = table.render("md").splitlines()
    assert markdown[0].startswith("| system | metric | value |")
    assert markdown[1].startswith("| --- | --- | ---: |")
    assert markdown[-2] == ""  # a line right below the rows would be one of them
    page = table.render("html")
    assert page.count("<tr>") == 7
    assert table._repr_html_() == page
    latex = table.render("latex")
    assert latex.startswith(r"\begin{tabular}{llrrrrrrr}")
    assert r"mean\_rank" in latex
    rows = list(csv.DictReader(io.StringIO(table.render("csv"))))
    assert len(rows) == 6
    assert float(rows[0]["value"]) == table.cell("base", "success@1").value
    both = csv.DictReader(io.StringIO(csv_of({"a": table, "b": table})))
    assert [row["part"] for row in both] == 6 * ["a"] + 6 * ["b"]
    assert escaped("a_b\\c{d} 5 % ^~ −1 … <2") == (
        r"a\_b\textbackslash{}c\{d\} 5 \% \textasciicircum{}\textasciitilde{} $-$1 \dots{} $<$2"
    )
    assert rows[4]["p"] == ""
    with pytest.raises(InputError, match="unknown style '"):
        table.render("markdown")


def test_what_is_looked_at_stands_near_the_name() -> None:
    table = replace(
        compare(systems(), metrics=["success@1"], samples=300), looks_at={"better": Looks(queries=True, labels=True)}
    )
    lines = table.render().splitlines()
    assert lines[0].split()[:4] == ["system", "looks", "at", "metric"]
    assert lines[3].split()[:5] == ["better", "test", "queries,", "labels", "success@1"]
    assert table.render("latex").startswith(r"\begin{tabular}{lllrrrrrrr}")
    rows = list(csv.DictReader(io.StringIO(table.render("csv"))))
    assert [row["looks_at"] for row in rows] == ["", "queries labels", ""]
    assert rows[1]["metric"] == "success@1"


def test_one_system_is_a_table_too() -> None:
    table = compare({"only": systems()["base"]}, samples=200)
    assert [cell.mark for cell in table.cells] == ["", "", ""]


def test_what_cannot_be_compared() -> None:
    made = systems()
    other = evaluate(np.eye(3), range(3), ["success@1"])
    with pytest.raises(InputError, match="'other' must be about the 80 queries of 'base' \\(got 3\\)"):
        compare({**made, "other": other})
    with pytest.raises(InputError, match="unknown baseline 'bas'; did you mean 'base'"):
        compare(made, baseline="bas")
    with pytest.raises(InputError, match="unknown test '"):
        compare(made, test="wilcoxon")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="system 'base' was not evaluated on 'map'"):
        compare(made, metrics=["map"])
    optimist = evaluate(np.eye(80), range(80), ["success@1", "mean_rank", "median_rank"], ties="optimistic")
    with pytest.raises(InputError, match="must be evaluated alike"):
        compare({**made, "optimist": optimist})
    with pytest.raises(InputError, match="'systems' must map names to evaluations \\(got list\\)"):
        compare(list(made.values()))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'systems' must hold"):
        compare({})


def test_other_queries_are_noticed() -> None:
    runs = [{f"{prefix}{i}": {"a": 1.0} for i in range(4)} for prefix in ("q", "x")]
    one, two = (evaluate(run, {query: {"a": 1} for query in run}, ["success@1"]) for run in runs)
    with pytest.raises(InputError, match=r"must have the queries of 'one' in their order \(got 4 others"):
        compare({"one": one, "two": two})


def test_skipped_queries_do_not_count() -> None:
    one = evaluate(np.eye(3), [[0], [], [2]], ["success@1"], empty="skip")
    table = compare({"one": one}, samples=200)
    assert table.cells[0].value == 1.0


def test_groups() -> None:
    made = systems()
    doubled = {
        name: evaluate(
            np.repeat(np.eye(4)[(found.per_query["success@1"] == 0).astype(int)], 2, axis=0), [[0]] * 160, ["success@1"]
        )
        for name, found in made.items()
    }
    labels = np.repeat([f"picture {row}" for row in range(80)], 2)
    together, apart = compare(doubled, groups=labels), compare(doubled)
    once = compare(made, metrics=["success@1"])
    assert together.groups == 80
    assert "160 queries in 80 groups, each drawn as a whole; " in repr(together)
    for name in made:
        mine, theirs, naive = (table.cell(name, "success@1") for table in (together, once, apart))
        assert mine.interval == theirs.interval
        assert mine.difference_interval == theirs.difference_interval
        assert mine.interval[1] - mine.interval[0] > naive.interval[1] - naive.interval[0]
    assert compare(made, groups=range(80)).groups is None
    with pytest.raises(InputError, match="'groups' must have one label for each of the 80 queries"):
        compare(made, groups=[1, 2])


def test_groups_of_queries_that_are_skipped_do_not_count() -> None:
    one = evaluate(np.eye(4), [[0], [], [2], [3]], ["success@1"], empty="skip")
    assert compare({"one": one}, samples=200, groups=["a", "a", "b", "b"]).groups == 2
    assert compare({"one": one}, samples=200, groups=["a", "a", "b", "c"]).groups is None


def test_speed_on_coco_sized_results() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((25_000, 10), dtype=np.float32)
    one = evaluate(scores, np.zeros(25_000, int), ["success@1", "mean_rank"])
    two = evaluate(scores + np.eye(1, 10) * 0.1, np.zeros(25_000, int), ["success@1", "mean_rank"])
    started = time.perf_counter()
    compare({"one": one, "two": two})
    assert time.perf_counter() - started < 10
