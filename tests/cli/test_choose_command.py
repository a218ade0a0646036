"""`rerankit choose` from files to a saved pipeline."""

from __future__ import annotations

import inspect
import json

import numpy as np

import rerankit
from rerankit import Problem, Relevance


def test_from_files_to_a_pipeline(tmp_path, capsys):
    from rerankit.cli import build

    random = np.random.default_rng(0)
    scores = random.normal(size=(120, 120)) + 1.5 * random.normal(size=120) + 4 * np.eye(120)
    rerankit.write(tmp_path / "problem.npz", Problem(scores))
    rerankit.write(tmp_path / "right.npz", Relevance.from_dense(np.eye(120)))
    command = ["choose", str(tmp_path / "problem.npz"), str(tmp_path / "right.npz"), "-s", "nnn", "-s", "sinkhorn"]
    assert build()([*command, "--out", str(tmp_path / "chosen"), "--json"], standalone_mode=False) in (None, 0)
    printed = capsys.readouterr()
    rows = json.loads(printed.out)
    assert [row["tried"] for row in rows if row["chosen"]] == ["stage('sinkhorn')"]
    assert "it gains the most" in printed.err
    assert rerankit.load(tmp_path / "chosen").stages[0].name == "sinkhorn"


def test_judgements_are_brought_to_the_problem_by_its_ids(tmp_path, capsys):
    """The items of the problem stand in another order than those of the judgements."""
    from rerankit.cli import build

    random = np.random.default_rng(0)
    size, order = 40, random.permutation(40)
    names = [f"g{number:02}" for number in range(size)]
    scores = random.normal(size=(size, size)) + 3 * np.eye(size)
    problem = Problem(scores[:, order], query_ids=names, gallery_ids=[names[item] for item in order])
    rerankit.write(tmp_path / "problem.npz", problem)
    rerankit.write(tmp_path / "right.qrels", Relevance.from_dense(np.eye(size)), query_ids=names, gallery_ids=names)
    files = [str(tmp_path / name) for name in ("problem.npz", "right.qrels")]
    with_bank = [files[0], "--bank", files[0], "--bank-relevance", files[1]]
    for words in (files, with_bank):
        build()(["choose", *words, "-s", "nnn", "--json"], standalone_mode=False)
        found = json.loads(capsys.readouterr().out)
        assert found[0]["figure"] > 50 * np.mean(scores.argmax(axis=1) == np.arange(size)), words


def test_the_command_decides_as_the_function_does():
    from rerankit.cli.choose import choose

    command, function = (inspect.signature(each).parameters for each in (choose, rerankit.choose))
    assert {name: command[name].default for name in ("significance", "metric", "budget")} == {
        name: function[name].default for name in ("significance", "metric", "budget")
    }
