"""A plugin registers a pipeline under a name, which works wherever a stage's name does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Gallery, Pipeline, Problem, Relevance, stage
from rerankit.cli import build
from rerankit.errors import InputError
from rerankit.plugins import manager
from rerankit.plugins.inspection import all_faults
from rerankit.tasks import task

PLUGIN = '''
from rerankit import hookimpl, stage

def careful(depth=20):
    """Hubs first, then both orders fused for the first few."""
    return stage("nnn") >> stage("fuse", method="rrf").top(depth)

@hookimpl
def rerankit_register_stages(register):
    register("careful", careful)
'''
SCORES = np.random.default_rng(0).normal(size=(6, 9)).astype(np.float32)
EXPECTED = stage("nnn") >> stage("fuse", method="rrf").top(5)


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "careful.py"
    file.write_text(PLUGIN)
    name = rerankit.load_plugin(file).name
    yield file
    manager().unregister(name)


def run(*words: Any) -> Any:
    return CliRunner().invoke(build(), [str(word) for word in words])


@pytest.mark.usefixtures("plugin")
def test_by_its_name_in_python(tmp_path: Path) -> None:
    made, by_hand = stage("careful", depth=5), rerankit.rerank(SCORES, EXPECTED)
    assert made == EXPECTED
    assert rerankit.rerank(SCORES, "careful", depth=5) == by_hand
    assert Pipeline(["careful"]) == stage("careful")
    assert Pipeline(["careful"]).stages == stage("careful").stages
    bank = np.random.default_rng(1).normal(size=(12, 4))
    items = np.random.default_rng(2).normal(size=(9, 4))
    gallery = Gallery(items, bank=bank)
    assert rerankit.prepare("careful", gallery, depth=5).rerank(bank[0]) == rerankit.prepare(EXPECTED, gallery).rerank(
        bank[0]
    )
    fused = stage("fuse", sources=["scores", stage("careful")])
    fused.save(tmp_path / "fused")
    assert rerankit.load(tmp_path / "fused") == fused
    made.save(tmp_path / "made")
    assert rerankit.load(tmp_path / "made") == EXPECTED
    with pytest.raises(InputError, match=r"stage 'careful': .*'width' \(its parameters: depth\)"):
        stage("careful", width=3)
    assert not [fault for fault in all_faults(manager()) if "careful" in str(fault)]


@pytest.mark.usefixtures("plugin")
def test_by_its_name_in_choose_bench_and_yaml(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(120, 120)) + 1.5 * random.normal(size=120) + 4 * np.eye(120)
    chosen = rerankit.choose(scores, Relevance.from_dense(np.eye(120)), among=["careful"])
    assert [each.pipeline for each in chosen.tried] == [stage("careful")]
    made = task("generic").write_miniature(tmp_path / "data")
    (result,) = rerankit.bench.bench(made, random.normal(size=(6, 9)), "careful", data=tmp_path / "data", k=5)
    assert result.label == "careful"
    assert [row.stage for row in result.parts[0].stages] == [repr(one) for one in stage("careful").stages]
    text = "stages: [{stage: careful, params: {depth: 5}, top: 7}, csls]"
    assert Pipeline.from_yaml(text) == Pipeline([EXPECTED.top(7), "csls"])
    assert Pipeline.from_yaml(Pipeline.from_yaml(text).to_yaml()) == Pipeline.from_yaml(text)


def test_by_its_name_on_the_command_line(plugin: Path, tmp_path: Path) -> None:
    rerankit.write(tmp_path / "problem.npz", Problem(SCORES))
    out = tmp_path / "run.npz"
    done = run("rerank", tmp_path / "problem.npz", "--stage", "careful", "--set", "depth=5", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert rerankit.read(out) == rerankit.rerank(SCORES, EXPECTED)
    assert [row["stage"] for row in json.loads(done.stdout)] == [repr(one) for one in EXPECTED]
    listed = {row["stage"]: row for row in json.loads(run("stages", "--json").stdout)}
    assert listed["careful"]["family"] == "from plugins"
    assert listed["careful"]["looks at"] == "test queries"
    shown = run("stages", "careful").output
    assert "runs: stage('nnn'), stage('fuse', method='rrf').top(20)" in shown
    assert "Hubs first, then both orders fused for the first few." in shown
    assert "stages careful" in " ".join(run("plugins").output.split())
    assert plugin.name in run("plugins").output
