"""A ranking as what other libraries take, read back by those libraries."""

from __future__ import annotations

import io

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Ranking
from rerankit.errors import InputError

RUN = {"q1": {"a": 0.9, "b": 0.1}, "q2": {"c": 1e-8}, "q3": {}}


def a_ranking(queries=3):
    return Problem(RUN).ranking(2).take(list(range(queries)))


def test_a_dictionary_comes_back():
    assert Ranking.from_dict(RUN) == a_ranking()
    assert Ranking.from_dict(a_ranking().to_dict()) == a_ranking()
    numbered = Ranking([[2, 0]], [[0.5, 0.25]], gallery_size=3)
    assert Ranking.from_dict(numbered.to_dict(), gallery_ids=range(3)).indices.tolist() == [[2, 0]]
    with pytest.raises(InputError, match="'run' must map queries"):
        Ranking.from_dict([1])


def test_columns_have_a_line_for_each_item():
    columns = a_ranking().to_columns()
    assert {name: values.tolist() for name, values in columns.items()} == {
        "query": ["q1", "q1", "q2"],
        "item": ["a", "b", "c"],
        "score": np.float32([0.9, 0.1, 1e-8]).tolist(),
        "rank": [1, 2, 1],
    }
    assert Ranking([[2, 0]], [[3, 1]]).to_columns()["item"].tolist() == [2, 0]


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables_come_back_as_runs(library):
    pytest.importorskip(library)
    ranking = a_ranking(2)
    table = getattr(ranking, f"to_{library.removeprefix('py')}")()
    assert Problem(table).ranking().to_dict() == ranking.to_dict()
    names = table.column_names if library == "pyarrow" else list(table.columns)
    assert names == ["query", "item", "score", "rank"]


def test_a_table_of_numbers_keeps_numbers():
    pd = pytest.importorskip("pandas")
    frame = Ranking([[2, 0]], [[3, 1]]).to_pandas()
    expected = pd.DataFrame({"query": [0, 0], "item": [2, 0], "score": np.float32([3, 1]), "rank": [1, 2]})
    pd.testing.assert_frame_equal(frame, expected)


def test_lines_of_trec_are_those_of_the_file(tmp_path):
    path = tmp_path / "x.run"
    rerankit.write(path, a_ranking(2))
    assert path.read_text() == a_ranking(2).to_trec()
    assert a_ranking().to_trec("mine").splitlines()[0] == "q1 Q0 a 1 0.9 mine"
    with pytest.raises(InputError, match="'query_ids' must be single words without blanks"):
        Ranking.from_dict({"a b": {"c": 1}}).to_trec()
    with pytest.raises(InputError, match="'tag' must be single words"):
        a_ranking().to_trec("my tag")


def test_ir_measures_reads_the_lines():
    ir_measures = pytest.importorskip("ir_measures")
    run = ir_measures.read_trec_run(io.StringIO(a_ranking().to_trec()).read())
    qrels = {"q1": {"b": 1}, "q2": {"c": 1}}
    assert ir_measures.calc_aggregate([ir_measures.RR], qrels, run)[ir_measures.RR] == 0.75
    assert rerankit.evaluate(a_ranking(2), qrels, ["mrr"])["mrr"] == 0.75


def test_a_small_table_for_notebooks():
    html = a_ranking()._repr_html_()
    assert "<caption>3 queries × 2 of 3 items</caption>" in html
    assert "<tr><th>q1</th><td>a<br><small>0.9</small></td><td>b<br><small>0.1</small></td></tr>" in html
    assert "<tr><th>q3</th><td></td><td></td></tr>" in html
    wide = Ranking.ordered(np.tile(np.arange(20), (30, 1)), np.ones((30, 20)), query_ids=[f"<{n}>" for n in range(30)])
    shown = wide._repr_html_()
    assert shown.count("<tr>") == 9
    assert shown.count("<td>") == 40
    assert "&lt;0&gt;" in shown
    assert "… and 22 more queries" in shown
