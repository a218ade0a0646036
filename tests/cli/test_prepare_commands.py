"""`rerankit prepare` and `rerankit query`."""

from __future__ import annotations

import json

import numpy as np
from typer.testing import CliRunner

import rerankit
from rerankit import Gallery, Problem
from rerankit.cli import build
from rerankit.cli.prepare import gallery_of_vectors

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, OLD = (RANDOM.normal(size=(count, 8)) for count in (60, 5, 20))


def run(*words):
    return CliRunner().invoke(build(), [str(word) for word in words])


def test_vectors_are_prepared_and_asked(tmp_path):
    for name, array in (("items", ITEMS), ("queries", QUERIES), ("old", OLD)):
        np.save(tmp_path / f"{name}.npy", array)
    names = [f"item-{row}" for row in range(60)]
    (tmp_path / "ids.txt").write_text("\n".join(names) + "\n")
    made = run(
        *("prepare", "--vectors", tmp_path / "items.npy", "--ids", tmp_path / "ids.txt", "--out", tmp_path / "ready"),
        *("--bank", tmp_path / "old.npy", "--stage", "nnn", "--set", "alpha=0.5", "--json"),
    )
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)[0]["keeps"] == "a number for each item"
    ready = rerankit.prepare("nnn", Gallery(ITEMS, ids=names, bank=OLD), alpha=0.5)
    asked = run("query", tmp_path / "ready", tmp_path / "queries.npy", "-k", 3)
    lines = [json.loads(line) for line in asked.stdout.splitlines()]
    expected = ready.rerank(QUERIES, k=3).to_dict()
    assert {line["query"]: dict(line["items"]) for line in lines} == expected
    written = run("query", tmp_path / "ready", tmp_path / "queries.npy", "-k", 3, "--out", tmp_path / "run.npz")
    assert written.exit_code == 0, written.output
    assert rerankit.read(tmp_path / "run.npz", "ranking") == ready.rerank(QUERIES, k=3)


def test_a_problem_is_prepared_and_asked_with_scores(tmp_path):
    scores, bank = QUERIES @ ITEMS.T, OLD @ ITEMS.T
    rerankit.write(tmp_path / "problem.npz", Problem(scores))
    np.save(tmp_path / "bank.npy", bank)
    np.save(tmp_path / "rows.npy", scores)
    made = run(
        *("prepare", tmp_path / "problem.npz", "--bank", tmp_path / "bank.npy", "--stage", "sinkhorn"),
        *("--out", tmp_path / "ready"),
    )
    assert made.exit_code == 0, made.output
    asked = run("query", tmp_path / "ready", tmp_path / "rows.npy", "--as-scores", "-k", 2)
    expected = rerankit.rerank(Problem(scores, query_bank=rerankit.Bank(to_gallery=bank)), "sinkhorn", k=2).to_dict()
    found = {line["query"]: dict(line["items"]) for line in map(json.loads, asked.stdout.splitlines())}
    assert found == expected


def test_more_is_re_ranked_than_is_given_out_and_queries_have_names(tmp_path):
    for name, array in (("items", ITEMS), ("queries", QUERIES), ("old", OLD)):
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    options = ("--bank", tmp_path / "old.npy", "--stage", "nnn", "--set", "published=true", "--out", tmp_path / "ready")
    assert run("prepare", "--vectors", tmp_path / "items.npy", *options).exit_code == 0
    asked = run(
        *("query", tmp_path / "ready", tmp_path / "queries.npy"), *("--ids", tmp_path / "names.txt", "--top-n", 2)
    )
    lines = [json.loads(line) for line in asked.stdout.splitlines()]
    ready = rerankit.prepare("nnn", Gallery(ITEMS, bank=OLD), published=True)
    expected, narrow = (ready.rerank(QUERIES, k=k, ids=list("abcde")).top(2).to_dict() for k in (60, 2))
    assert {line["query"]: dict(line["items"]) for line in lines} == expected
    assert expected != narrow
    assert (
        "'top-n' must be at least 1" in run("query", tmp_path / "ready", tmp_path / "queries.npy", "--top-n", 0).output
    )


def test_one_query_without_a_bank_is_refused_or_passed(tmp_path):
    np.save(tmp_path / "items.npy", ITEMS)
    np.save(tmp_path / "one.npy", QUERIES[:1])
    np.save(tmp_path / "scores.npy", QUERIES[:1] @ ITEMS.T)
    make = ("prepare", "--vectors", tmp_path / "items.npy", "--stage", "csls", "--out", tmp_path / "ready")
    refused = run(*make)
    assert refused.exit_code == 2
    assert "lone='pass'" in refused.output
    assert run(*make, "--set", "lone=pass").exit_code == 0
    line = json.loads(run("query", tmp_path / "ready", tmp_path / "one.npy", "-k", 4).stdout)
    gallery = Gallery(ITEMS)
    assert dict(line["items"]) == gallery.ranking(gallery.problem(QUERIES[:1]), k=4).to_dict()[line["query"]]
    alone = ("rerank", tmp_path / "scores.npy", "--stage", "csls", "--out", tmp_path / "run.npz")
    refused = run(*alone)
    assert refused.exit_code == 2
    assert "needs other_queries" in refused.output
    assert run(*alone, "--set", "lone=pass").exit_code == 0
    assert rerankit.read(tmp_path / "run.npz", "ranking") == Problem(QUERIES[:1] @ ITEMS.T).ranking(100)


def test_what_cannot_be_prepared_or_asked_is_one_line(tmp_path):
    np.save(tmp_path / "items.npy", ITEMS)
    assert "give either PROBLEM or --vectors" in run("prepare", "--stage", "nnn", "--out", tmp_path / "r").output
    refused = run("prepare", "--vectors", tmp_path / "items.npy", "--stage", "nnn", "--out", tmp_path / "r")
    assert refused.exit_code == 2
    without = ("prepare", "--vectors", tmp_path / "items.npy", "--stage", "dba", "--out", tmp_path / "r")
    assert "no such file" in run(*without, "--ids", tmp_path / "absent.txt").output
    assert "looks at the other test queries" in refused.output
    rerankit.stage("nnn").save(tmp_path / "stage")
    assert "must hold a prepared gallery" in run("query", tmp_path / "stage", tmp_path / "items.npy").output


def test_vectors_are_prepared_with_a_bank_of_lists_or_scores(tmp_path):
    np.save(tmp_path / "items.npy", ITEMS)
    names = [f"item-{row}" for row in range(60)]
    (tmp_path / "ids.txt").write_text("\n".join(names) + "\n")
    log = Problem(OLD @ ITEMS.T, gallery_ids=names).ranking(12)
    rerankit.write(tmp_path / "log.run", log)
    np.save(tmp_path / "log.npy", OLD @ ITEMS.T)
    lists = Problem.from_rankings(log.indices, log.scores, 60).scores
    for file, scores in (("log.run", lists), ("log.npy", OLD @ ITEMS.T)):
        out = tmp_path / file.replace(".", "-")
        options = ("--ids", tmp_path / "ids.txt", "--vector-metric", "dot", "--stage", "nnn", "--out", out)
        made = run("prepare", "--vectors", tmp_path / "items.npy", "--bank", tmp_path / file, *options)
        assert made.exit_code == 0, made.output
        gallery = Gallery(ITEMS, ids=names, metric="dot", bank=rerankit.Bank(to_gallery=scores))
        expected = rerankit.prepare("nnn", gallery).rerank(QUERIES, k=9)
        found = rerankit.load(out).rerank(QUERIES, k=9)
        assert np.array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_a_bank_of_vectors_is_kept_on_its_grid(tmp_path):
    for name, array in (("items", ITEMS), ("old", OLD)):
        np.save(tmp_path / f"{name}.npy", array)
    gallery = gallery_of_vectors(tmp_path / "items.npy", None, "cosine", tmp_path / "old.npy")
    assert gallery.bank.to_gallery.held_rows is not None
