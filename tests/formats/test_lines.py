"""Runs and judgements as others write them: by any column names, without a header, and what is not clear is refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Relevance
from rerankit.errors import FormatError, InputError
from rerankit.formats import Triples, read_judged
from rerankit.formats.headless import lines_of
from rerankit.formats.lists import to_ranking

NUMBERS = {"score", "rank", "grade", "relevance"}
RUN = {"q1": {"a": 0.9, "b": 0.4}, "q2": {"c": 0.8}}


def written(folder, name, text):
    path = folder / name
    if path.suffix == ".jsonl":
        header, *rows = (line.split(",") for line in text.splitlines())
        told = [
            {name: float(text) if name in NUMBERS else text for name, text in zip(header, row, strict=True)}
            for row in rows
        ]
        path.write_text("\n".join(map(json.dumps, told)) + "\n")
        return path
    if path.suffix != ".parquet":
        path.write_text(text.replace(",", "\t") if path.suffix == ".tsv" else text)
        return path
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    header, *rows = (line.split(",") for line in text.splitlines())
    columns = {name: list(values) for name, values in zip(header, zip(*rows, strict=True), strict=True)}
    for value in NUMBERS & set(columns):
        columns[value] = [float(number) for number in columns[value]]
    parquet.write_table(pa.table(columns), path)
    return path


ENDINGS = ["run.csv", "run.tsv", "run.jsonl", "run.parquet"]


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize(
    "header", ["query,item", "qid,docno", "qid,pid", "query_id,doc_id", "q_id,doc_id", "query-id,corpus-id"]
)
def test_every_usual_name_of_the_columns(tmp_path, name, header):
    path = written(tmp_path, name, f"{header},rank,score\nq1,b,2,0.4\nq1,a,1,0.9\nq2,c,1,0.8\n")
    assert rerankit.read(path).to_dict() == RUN
    assert rerankit.read(path, "problem").ranking().to_dict() == RUN
    with pytest.raises(FormatError, match="relevance needs grades"):
        rerankit.read(path, "relevance")


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("column", ["grade", "relevance"])
def test_judgements_by_their_column(tmp_path, name, column):
    path = written(tmp_path, name, f"query_id,doc_id,iteration,{column}\nq1,a,0,2\nq2,c,0,1\n")
    assert rerankit.read(path) == {"q1": {"a": 2.0}, "q2": {"c": 1.0}}


@pytest.mark.parametrize("name", ENDINGS)
def test_whole_numbers_that_beir_calls_scores_are_what_is_asked_for(tmp_path, name):
    path = written(tmp_path, name, "query-id,corpus-id,score\nq1,a,1\nq2,c,2\n")
    with pytest.raises(FormatError, match=r"may be a run or judgements: read\(path, 'ranking'\) or"):
        rerankit.read(path)
    assert rerankit.read(path, "ranking").to_dict() == {"q1": {"a": 1.0}, "q2": {"c": 2.0}}
    assert rerankit.read(path, "relevance", gallery_ids=["a", "c"]).grades.tolist() == [1, 2]
    run = written(tmp_path, "first.run", "q1 Q0 a 1 0.5 x\nq2 Q0 b 1 0.5 x\n")
    ranking, judged = read_judged(run, path)
    assert rerankit.evaluate(ranking, judged, ["success@1"])["success@1"] == 0.5


def test_a_run_of_tsv_is_not_a_matrix(tmp_path):
    path = written(tmp_path, "run.tsv", "7\t31\t0.5\n7\t12\t0.25\n9\t31\t0.75\n")
    for kind in (None, "problem", "relevance"):
        with pytest.raises(FormatError, match="three columns of numbers may be a matrix of scores"):
            rerankit.read(path, kind)
    assert rerankit.read(path, "ranking").to_dict() == {"7": {"31": 0.5, "12": 0.25}, "9": {"31": 0.75}}
    assert rerankit.read(path, "array").tolist() == [[7, 31, 0.5], [7, 12, 0.25], [9, 31, 0.75]]


def test_files_of_ms_marco(tmp_path):
    run = written(tmp_path, "run.tsv", "7\t31\t1\n7\t12\t2\n9\t31\t1\n")
    qrels = written(tmp_path, "qrels.tsv", "7\t0\t12\t1\n9\t0\t44\t1\n")
    assert rerankit.read(run).to_dict() == {"7": {"31": -1.0, "12": -2.0}, "9": {"31": -1.0}}
    assert rerankit.read(qrels) == {"7": {"12": 1.0}, "9": {"44": 1.0}}
    assert rerankit.evaluate(*read_judged(run, qrels), ["mrr"])["mrr"] == 0.25


@pytest.mark.parametrize("name", ["run.csv", "run.tsv"])
def test_lines_without_a_header(tmp_path, name):
    trec = written(tmp_path, f"trec-{name}", "q1,Q0,b,2,0.4,x\nq1,Q0,a,1,0.9,x\nq2,Q0,c,1,0.8,x\n")
    assert rerankit.read(trec).to_dict() == RUN
    bare = written(tmp_path, f"bare-{name}", "q1,b,0.4\nq1,a,0.9\nq2,c,0.8\n")
    with pytest.raises(FormatError, match="may be a run or judgements"):
        rerankit.read(bare)
    assert rerankit.read(bare, "problem").ranking().to_dict() == RUN
    with pytest.raises(FormatError, match="are no array"):
        rerankit.read(bare, "array")


@pytest.mark.parametrize(
    "rows",
    [
        [["0.5", "1.0", "2.5"], ["1.5", "3", "4"]],  # numbers with a point are no names
        [["1", "2", "3", "4"], ["5", "6", "7", "8"]],  # nor are four columns lines without a zero among them
        [["1", "2"], ["3", "4"]],
        [["q", "a", "nan"]],
        [["q", "a", "word"]],
    ],
)
def test_what_can_only_be_a_matrix(rows):
    assert lines_of(rows) is None


def test_one_line_for_each_query_does_not_count():
    assert lines_of([["1", "5", "1"], ["2", "6", "1"]]).what == "unsaid"


def test_a_header_that_says_nothing(tmp_path):
    path = written(tmp_path, "x.csv", "user,film,stars\n1,2,3\n")
    with pytest.raises(FormatError, match="name them query, item and score"):
        rerankit.read(path)
    with pytest.raises(FormatError, match="'distance' is lower for better items"):
        rerankit.read(written(tmp_path, "y.csv", "query,item,distance\n1,2,3\n"))


@pytest.mark.parametrize("name", ["judged.npz", "judged"])
def test_relevance_beside_a_problem_is_known_by_its_ids(tmp_path, name):
    problem = Problem(np.eye(3)[:2], query_ids=["q1", "q2"], gallery_ids=["a", "b", "c"])
    rerankit.write(tmp_path / name, problem, relevance=Relevance.from_lists([[2], [1]], 3))
    run = written(tmp_path, "x.run", "q2 Q0 c 1 0.9 x\nq2 Q0 b 2 0.5 x\n")
    ranking, relevance = read_judged(run, tmp_path / name)
    assert ranking.query_ids.tolist() == ["q1", "q2"]
    assert ranking.notes["queries_missing_from_run"] == ["q1"]
    assert rerankit.evaluate(ranking, relevance, ["mrr"])["mrr"] == 0.25
    # A ranking written with its ids is brought to their order too, and keeps what it leaves out.
    turned = problem.reversed().reversed().subset([1, 0], [2, 1, 0]).excluding([[0], []]).ranking()
    rerankit.write(tmp_path / "turned.npz", turned)
    ranking, relevance = read_judged(tmp_path / "turned.npz", tmp_path / name)
    assert ranking.indices.tolist() == problem.excluding([[], [2]]).ranking().indices.tolist()
    assert ranking.excluded.rows.tolist() == [1]
    assert ranking.excluded.indices.tolist() == [2]
    other = written(tmp_path, "other.run", "q2 Q0 x 1 0.9 x\n")
    with pytest.raises(FormatError, match=r"must know all items of the run .* \(got 1 unknown"):
        read_judged(other, tmp_path / name)


def test_a_run_is_not_taken_for_judgements(tmp_path):
    run = written(tmp_path, "x.run", "q2 Q0 c 1 0.9 x\n")
    with pytest.raises(FormatError, match="must hold judgements, and holds a run"):
        read_judged(run, run)


def test_distances_of_a_database_are_refused_or_said(tmp_path):
    indices, distances = [[0, 1], [1, 0]], [[0.1, 0.7], [0.2, 0.3]]
    with pytest.raises(InputError, match=r"must not rise .*\(got 2 of 2 rows that rise, the first 0.1 … 0.7 in"):
        Problem.from_rankings(indices, distances, 2)
    for metric in ("l2", "euclidean", "manhattan", "hamming", "distance"):
        found = Problem.from_rankings(indices, distances, 2, metric=metric)
        assert rerankit.evaluate(found, [[0], [1]], ["success@1"])["success@1"] == 1
    assert Problem.from_rankings(indices, distances, 2, metric="dot").ranking().indices.tolist() == [[1, 0], [0, 1]]
    np.savez(tmp_path / "lists.npz", indices=indices, scores=distances, gallery_size=2)
    with pytest.raises(FormatError, match="metric='l2'"):
        rerankit.read(tmp_path / "lists.npz", "problem")
    np.savez(tmp_path / "said.npz", indices=indices, scores=distances, gallery_size=2, metric="l2")
    assert rerankit.read(tmp_path / "said.npz").ranking().indices.tolist() == indices
    with pytest.raises(InputError, match="unknown metric 'l3'"):
        Problem.from_rankings(indices, distances, 2, metric="l3")


@pytest.mark.parametrize(
    ("indices", "scores"),
    [([[0, 1, -1]], [[0.9, 0.5, 0]]), ([[0, 1]], [[0.5, 0.5]]), ([[0, 1, 2]], [[0.5, 0.9, 0.1]]), ([[0]], [[3]])],
)
def test_rows_that_do_not_rise_are_scores(indices, scores):
    assert Problem.from_rankings(indices, scores, 3).shape == (1, 3)


def test_padding_does_not_hide_that_a_row_rises():
    with pytest.raises(InputError, match="must not rise"):
        Problem.from_rankings([[0, 1, -1], [2, -1, -1]], [[0.1, 0.2, 0.0], [0.3, 0, 0]], 3)


@pytest.mark.parametrize("name", ["a.run", "a.csv", "a.tsv", "a.parquet", "a.txt"])
def test_scores_that_rise_with_the_ranks_are_distances(tmp_path, name):
    path = tmp_path / name
    for scores, fine in (([0.1, 0.7], False), ([0.7, 0.1], True), ([0.5, 0.5], True)):
        if name.endswith("parquet"):
            arrow = pytest.importorskip("pyarrow")
            table = arrow.table({"query": ["q", "q"], "item": ["x", "y"], "score": scores, "rank": [1, 2]})
            pytest.importorskip("pyarrow.parquet").write_table(table, path)
        elif name[-3:] in ("csv", "tsv"):
            lines = [
                ["query", "item", "rank", "score"],
                ["q", "x", "1", str(scores[0])],
                ["q", "y", "2", str(scores[1])],
            ]
            path.write_text("".join(("," if name[-3:] == "csv" else "\t").join(line) + "\n" for line in lines))
        else:
            path.write_text("".join(f"q Q0 {'xy'[n]} {n} {score} me\n" for n, score in enumerate(scores)))
        if fine:
            assert rerankit.read(path, "problem").shape == (1, 2)
            continue
        with pytest.raises(InputError, match=rf"{name}: scores must fall where ranks rise"):
            rerankit.read(path, "problem")


def test_a_first_line_that_counts_may_be_a_header(tmp_path):
    """A data frame without names writes one when it is told to leave its index out."""
    path = tmp_path / "a.csv"
    path.write_text("0,1,2\n0.5,0.25,0.125\n")
    with pytest.raises(InputError, match=r"a.csv: line 1 counts 0, 1, 2 … and may be a header"):
        rerankit.read(path)
    path.write_text("0.0,1,2\n0.5,0.25,0.125\n")
    assert rerankit.read(path).shape == (2, 3)


def test_a_column_without_a_name_is_an_index(tmp_path):
    (tmp_path / "frame.csv").write_text(",qid,docno,score\n0,q,a,0.3\n7,q,b,0.9\n")  # as frame.to_csv() writes it
    assert rerankit.read(tmp_path / "frame.csv", "ranking").to_dict() == {"q": {"b": 0.9, "a": 0.3}}
    (tmp_path / "matrix.csv").write_text(",qid,rank\nx,0.5,0.25\n")  # no item: a matrix with its labels
    assert rerankit.read(tmp_path / "matrix.csv", "problem").gallery_ids.tolist() == ["qid", "rank"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1]", "line 2 must be an object (got list)"),
        ('{"query": "q", "item": true, "score": 1}', "line 2: 'item' must be a text or a whole number (got True)"),
        ('{"query": "q", "item": "a"}', "line 2: 'score' must be a finite number (got None)"),
        ('{"query": "q", "item": "a", "score": NaN}', "line 2: 'score' must be a finite number (got nan)"),
        (f'{{"query": "q", "item": "a", "score": 1{"0" * 400}}}', "line 2: 'score' must be a finite number (got 1000"),
        ('{"query": "q", "ite', "line 2: truncated or not JSON"),
    ],
)
def test_a_line_of_json_that_is_none_is_named(tmp_path, line, words):
    path = tmp_path / "a.jsonl"
    path.write_text('{"query": "q", "item": 7, "score": 0.5, "model": "x"}\n' + line + "\n")
    with pytest.raises(FormatError, match=re.escape(f"a.jsonl: {words}")):
        rerankit.read(path)
    path.write_text('{"id": 7, "text": "x"}\n')
    with pytest.raises(FormatError, match=r"lines must have query/item or .*got \['id', 'text'\]"):
        rerankit.read(path)
    path.write_text("\n")
    with pytest.raises(FormatError, match="the file is empty"):
        rerankit.read(path)


@pytest.mark.parametrize("values", [[0.4, 0.9], ["0.4", None], [0.4]], ids=["numbers", "others", "too few"])
def test_lines_take_any_list_of_numbers(values):
    if values == [0.4, 0.9]:
        triples = Triples(["q", "q"], ["a", "b"], values, "scores")
        assert triples.values.dtype == np.float64
        assert to_ranking(triples).to_dict() == {"q": {"b": np.float32(0.9), "a": np.float32(0.4)}}
        return
    with pytest.raises(InputError, match=r"'values' must (hold numbers|be one for each query and item)"):
        Triples(["q", "q"], ["a", "b"], values, "scores")
