"""`rerankit choose` from files to a saved pipeline."""

from __future__ import annotations

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
