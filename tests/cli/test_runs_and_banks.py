"""Commands on runs, relevance by ids, directions, several stages, banks, and cut-offs beyond a list."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Bank, ListScores, Pipeline, Problem, Relevance, stage
from rerankit.cli import build

RANDOM = np.random.default_rng(0)
SCORES = RANDOM.normal(size=(6, 9)).astype(np.float32)
RIGHT = Relevance.from_lists([[row] for row in range(6)], 9)
QUERIES, ITEMS = [f"q{row}" for row in range(6)], [f"i{item}" for item in range(9)]


def run(*arguments, fails=False):
    result = CliRunner().invoke(build(), [str(each) for each in arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result.output


@pytest.fixture
def folder(tmp_path):
    problem = Problem(SCORES, query_ids=QUERIES, gallery_ids=ITEMS)
    rerankit.write(tmp_path / "problem.npz", problem, relevance=RIGHT)
    run("convert", tmp_path / "problem.npz", tmp_path / "truth.qrels", "--as", "relevance")
    return tmp_path


def figures(*arguments):
    text = run("evaluate", *arguments, "--json")
    return {row["metric"]: row["value"] for row in json.loads(text[text.index("[\n") :])}


def test_relevance_beside_a_problem_is_written_with_its_ids(folder):
    assert rerankit.read(folder / "truth.qrels") == {f"q{row}": {f"i{row}": 1.0} for row in range(6)}
    run("convert", folder / "truth.qrels", folder / "again.csv", "--as", "relevance")
    assert rerankit.read(folder / "again.csv") == rerankit.read(folder / "truth.qrels")


def test_a_run_is_evaluated_against_the_problem_it_was_made_from(folder):
    run("rerank", folder / "problem.npz", "--stage", "mutual-rank", "--out", folder / "x.run")
    expected = dict(rerankit.evaluate(rerankit.rerank(SCORES, "mutual-rank"), RIGHT, ["map", "mrr"]))
    asked = ("-m", "map", "-m", "mrr")
    assert figures(folder / "x.run", folder / "problem.npz", *asked) == pytest.approx(expected)
    assert figures(folder / "x.run", folder / "truth.qrels", *asked) == pytest.approx(expected)
    plain = dict(rerankit.evaluate(SCORES, RIGHT, ["map", "mrr"]))
    for truth in ("problem.npz", "truth.qrels"):
        assert figures(folder / "problem.npz", folder / truth, *asked) == pytest.approx(plain)


def test_the_other_direction(folder):
    right = RIGHT.reversed()
    options = ("--empty", "skip", "-m", "mrr", "--reverse", "--missing", "zero")
    expected = rerankit.evaluate(np.ascontiguousarray(SCORES.T), right, ["mrr"], empty="skip")["mrr"]
    for truth in ("problem.npz", "truth.qrels"):
        assert figures(folder / "problem.npz", folder / truth, *options)["mrr"] == pytest.approx(expected)
    run("rerank", folder / "problem.npz", "-s", "mutual-rank", "--reverse", "-o", folder / "back.run")
    expected = rerankit.evaluate(rerankit.rerank(SCORES.T, "mutual-rank"), right, ["mrr"], empty="skip")["mrr"]
    for truth in ("problem.npz", "truth.qrels"):
        assert figures(folder / "back.run", folder / truth, *options)["mrr"] == pytest.approx(expected)
    both = ("evaluate", folder / "problem.npz", folder / "truth.qrels", "--both", "--reverse")
    assert "give either --reverse or --both" in run(*both, fails=True)
    wrong = ("evaluate", folder / "problem.npz", folder / "truth.qrels", "--missing", "zeros")
    assert "unknown --missing 'zeros'; did you mean 'zero'?" in run(*wrong, fails=True)


def test_stages_that_are_repeated_run_one_after_the_other(folder):
    out = folder / "x.npz"
    problem = rerankit.read(folder / "problem.npz")
    run("rerank", folder / "problem.npz", "-s", "csls", "-s", "fuse", "--set", "csls.neighbours=2", "-o", out)
    expected = rerankit.rerank(problem, Pipeline([stage("csls", neighbours=2), "fuse"]))
    assert rerankit.read(out) == expected
    assert rerankit.read(out) != rerankit.rerank(problem, "fuse")
    run("rerank", folder / "problem.npz", "-s", "csls", "--set", "csls.neighbours=2", "-o", out, "--force")
    assert rerankit.read(out) == rerankit.rerank(problem, stage("csls", neighbours=2))
    arguments = ("rerank", folder / "problem.npz", "-o", folder / "y.npz")
    for more, words in (
        (("-s", "csls", "-s", "fuse", "--set", "k=2"), "must say which stage it is of, csls.NAME=VALUE (got 'k=2')"),
        (("-s", "csls", "-s", "csls", "--set", "csls.neighbours=2"), "cannot tell stages of one name apart"),
        ((), "give either --stage NAME or --pipeline FILE (got neither)"),
    ):
        assert words in run(*arguments, *more, fails=True)


def test_a_bank_from_scores_vectors_parts_or_another_problem(folder):
    bank = RANDOM.normal(size=(20, 9)).astype(np.float32)
    np.save(folder / "bank.npy", bank)
    np.savez(folder / "parts.npz", to_gallery=bank)
    rerankit.write(folder / "train.npz", Problem(bank, gallery_ids=ITEMS))
    problem = rerankit.read(folder / "problem.npz")
    expected = rerankit.rerank(problem.with_banks(query_bank=Bank(to_gallery=bank)), "csls")
    assert expected != rerankit.rerank(problem, "csls")
    for name in ("bank.npy", "parts.npz", "train.npz"):
        out = folder / f"{name}.out.npz"
        said = run("rerank", folder / "problem.npz", "-s", "csls", "--bank", folder / name, "-o", out)
        assert rerankit.read(out) == expected, name
        assert "note: transductive" not in said
    vectors, others = RANDOM.normal(size=(15, 4)), RANDOM.normal(size=(30, 4))
    rerankit.write(folder / "vectors.npz", Problem.from_embeddings(vectors[:6], vectors[6:]))
    np.save(folder / "others.npy", others)
    run("rerank", folder / "vectors.npz", "-s", "csls", "--bank", folder / "others.npy", "-o", folder / "v.npz")
    made = Problem.from_embeddings(vectors[:6], vectors[6:], query_bank=others)
    assert rerankit.read(folder / "v.npz") == rerankit.rerank(made, "csls")
    columns = RANDOM.normal(size=(20, 6)).astype(np.float32)
    np.save(folder / "columns.npy", columns)
    run(
        "rerank", folder / "problem.npz", "-s", "csls", "--gallery-bank", folder / "columns.npy", "-o", folder / "g.npz"
    )
    banked = problem.with_banks(gallery_bank=Bank(to_queries=columns))
    assert rerankit.read(folder / "g.npz") == rerankit.rerank(banked, "csls")


def test_lists_of_other_queries_are_a_bank_by_the_names_of_their_items(folder):
    bank = RANDOM.normal(size=(20, 9)).astype(np.float32)
    order = RANDOM.permutation(9)
    lists = Problem(bank[:, order], gallery_ids=[ITEMS[item] for item in order]).ranking(4)
    rerankit.write(folder / "log.csv", lists)
    with (folder / "log.csv").open("a") as file:
        file.write("20,none of ours,0.5\n0,nor this,-99\n")
    run("rerank", folder / "problem.npz", "-s", "csls", "--bank", folder / "log.csv", "-o", folder / "listed.npz")
    kept = Problem(bank).ranking(4)
    problem = rerankit.read(folder / "problem.npz")
    with_lists = problem.with_banks(query_bank=Bank(to_gallery=ListScores(kept.indices, kept.scores, 9)))
    assert rerankit.read(folder / "listed.npz") == rerankit.rerank(with_lists, "csls")
    (folder / "foreign.csv").write_text("query,item,score\n0,x,1\n")
    arguments = ("rerank", folder / "problem.npz", "-s", "csls", "--bank", folder / "foreign.csv", "-o", folder / "no")
    said = run(*arguments, fails=True)
    assert (
        "foreign.csv: lines of a bank must name the problem's items (got 1 that are none of them, such as ['x'])"
        in said
    )


def test_a_bank_that_does_not_fit_is_refused(folder):
    np.save(folder / "narrow.npy", np.zeros((3, 4)))
    np.savez(folder / "odd.npz", to_galery=np.zeros((3, 9)))
    rerankit.write(folder / "other.npz", Problem(np.eye(9), gallery_ids=ITEMS[::-1]))
    rerankit.write(folder / "square.npz", Problem.from_embeddings(np.eye(9)[:5], np.eye(9)))
    np.save(folder / "nine.npy", np.eye(9))
    for problem, bank, words in (
        ("problem.npz", "narrow.npy", "a bank must have 9 columns, as the other side has items (got (3, 4))"),
        ("problem.npz", "odd.npz", "unknown part of a bank 'to_galery'; did you mean 'to_gallery'?"),
        ("problem.npz", "other.npz", "must have the same other side, with the same ids in the same order"),
        ("problem.npz", "truth.qrels", "a ranking needs scores (got grades)"),
        ("square.npz", "nine.npy", "9 columns may be vectors or scores"),
    ):
        arguments = ("rerank", folder / problem, "-s", "csls", "--bank", folder / bank, "-o", folder / "no.npz")
        assert words in run(*arguments, fails=True)


def test_a_cut_off_beyond_the_list_is_said(folder):
    run("rerank", folder / "problem.npz", "-s", "csls", "-k", "3", "-o", folder / "short.run")
    asked = ("evaluate", folder / "short.run", folder / "truth.qrels")
    said = run(*asked, "-m", "success@3", "-m", "recall@5")
    assert "note: recall@5 looked beyond the longest list, of 3 items; what is not listed is not found" in said
    assert "note: " not in run(*asked, "-m", "success@3")
    assert "note: " not in run("evaluate", folder / "problem.npz", folder / "truth.qrels", "-m", "recall@20")
    run_of_all = Problem(SCORES).ranking().to_dict()
    assert rerankit.evaluate(run_of_all, {0: {1: 1}}, ["recall@20"], empty="zero").notes == {}
    short = {query: dict(list(items.items())[:2]) for query, items in run_of_all.items()}
    notes = rerankit.evaluate(short, {0: {1: 1}}, ["recall@20"], empty="zero").notes
    assert notes == {"listed": 2, "beyond": ["recall@20"]}


def test_files_of_beir_in_their_places(tmp_path):
    (tmp_path / "run.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t7\nq1\tb\t5\n")
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tb\t1\n")
    assert figures(tmp_path / "run.tsv", tmp_path / "qrels.tsv", "-m", "mrr") == {"mrr": 0.5}
    (tmp_path / "x.qrels").write_text("q1 0 b 1\n")
    said = run("evaluate", tmp_path / "x.qrels", tmp_path / "qrels.tsv", fails=True)
    assert "must hold a run or scores, and holds judgements" in said
    (tmp_path / "bare.tsv").write_text("1\t2\t0.5\n1\t3\t0.4\n")
    said = run("evaluate", tmp_path / "bare.tsv", tmp_path / "qrels.tsv", fails=True)
    assert "three columns of numbers may be a matrix of scores" in said
