from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import rerankit
from rerankit import Pipeline, Problem, Relevance, plugins
from rerankit.cli import build

SIZES = ["--set", "pillars=5", "--set", "neighbours=3", "--set", "width=8", "--set", "heads=2", "--set", "candidates=6"]
SHIFT = """
from rerankit import Trainable, hookimpl

class Shift(Trainable):
    name = "shift"
    needs = ("weights",)

    def learn(self, problem, relevance, how):
        self.set_weights({"mean": problem.scores.rows().mean(axis=0)})

    def rescore(self, problem, ranking):
        return ranking.scores - self.learned["mean"][ranking.indices]

@hookimpl
def rerankit_register_stages(register):
    register("shift", Shift)
"""
QUICK = ["--training", "epochs=2", "--training", "device=cpu"]


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(build(), [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def problem(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(20, 6)).astype(np.float32)
    owner = np.repeat(np.arange(20), 2)
    texts = images[owner] + generator.normal(size=(40, 6)).astype(np.float32)
    relevance = Relevance.from_labels(np.arange(20), owner)
    rerankit.write(tmp_path / "train.npz", Problem.from_embeddings(images, texts), relevance=relevance)
    return tmp_path / "train.npz"


def test_fit_writes_a_stage_that_reranks(problem, tmp_path):
    out = tmp_path / "fitted"
    words = ["fit", "pillar-small", "--train", problem, "--validation", problem, "--out", out, *SIZES, *QUICK]
    shown = run(*words)
    assert shown.splitlines()[0].split()[:4] == ["step", "epoch", "loss", "rsum"]
    assert "* best, by rsum; all epochs done" in shown
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "training", "weights.safetensors"]
    assert sorted(p.name for p in (out / "training").iterdir()) == ["checkpoint.pt", "curves.png", "history.csv"]
    first, checkpoint = rerankit.load(out), (out / "training" / "checkpoint.pt").stat().st_mtime_ns
    run(*words)  # finished: nothing is repeated, the same stage is written
    assert rerankit.load(out) == first
    # So it is where the last one was killed while the folder was being replaced, on a disk that needs two steps for it.
    (tmp_path / ".rerankit-killed").mkdir()
    shutil.copytree(out, tmp_path / ".rerankit-killed" / out.name)
    out.rename(tmp_path / ".rerankit-killed" / ".replaced")
    run(*words)
    assert (out / "training" / "checkpoint.pt").stat().st_mtime_ns == checkpoint
    run("rerank", problem, "--pipeline", out, "--out", tmp_path / "run.trec")
    assert (tmp_path / "run.trec").exists()


def test_a_fitted_stage_in_the_other_direction(problem, tmp_path):
    """`--reverse` turns the stage with the problem; `--set` changes the parameters of a saved stage."""
    out, given = tmp_path / "fitted", rerankit.read(problem, "problem")
    run("fit", "pillar-small", "--train", problem, "--out", out, *SIZES, *QUICK)
    expected = rerankit.rerank(given.reversed(), rerankit.load(out).reversed())
    run("rerank", problem, "--reverse", "--pipeline", out, "--out", tmp_path / "one.npz")
    rerankit.write(tmp_path / "turned.npz", given.reversed())
    told = ["--set", "direction=t2i", "--pipeline", out]
    run("rerank", tmp_path / "turned.npz", *told, "--out", tmp_path / "two.npz")
    for name in ("one", "two"):
        assert rerankit.read(tmp_path / f"{name}.npz", "ranking") == expected
    (rerankit.stage("mutual-rank") >> rerankit.load(out)).save(tmp_path / "both")
    words = ["rerank", tmp_path / "turned.npz", "--pipeline", tmp_path / "both", "--out", tmp_path / "x.npz", "--set"]
    assert "'--set' must name one stage before the parameter" in run(*words, "direction=t2i", code=2)
    run(*words, "pillar-small.direction=t2i")
    joined = rerankit.stage("mutual-rank") >> rerankit.load(out).reversed()
    assert rerankit.read(tmp_path / "x.npz", "ranking") == rerankit.rerank(given.reversed(), joined)


def test_fit_with_other_losses(problem, tmp_path):
    words = ["fit", "pillar-small", "--train", problem, "--out", tmp_path / "out", *SIZES, *QUICK]
    shown = run(*words, "--set", "losses={triplet: 0, reconstruction: 0.1}", "--json")
    start = shown.index("[")
    rows = json.JSONDecoder().raw_decode(shown[start:])[0]
    assert "loss/reconstruction" in rows[0]
    assert "loss/triplet" not in rows[0]


def test_fit_refuses(problem, tmp_path):
    bare = tmp_path / "bare.npz"
    rerankit.write(bare, Problem(np.eye(3)))
    base = ["--out", tmp_path / "out"]
    rerankit.stage("mutual-rank").save(tmp_path / "other")
    assert "'out' must not exist, unless --restart" in run(
        "fit", "pillar-small", "--train", problem, "--out", tmp_path / "other", code=2
    )
    assert "training needs relevance" in run("fit", "pillar-small", "--train", bare, *base, code=2)
    assert "has nothing to train" in run("fit", "mutual-rank", "--train", problem, *base, code=2)
    assert "unknown training setting" in run(
        "fit", "pillar-small", "--train", problem, *base, "--training", "epoch=2", code=2
    )
    assert "unknown stage 'piller'" in run("fit", "piller", "--train", problem, *base, code=2)


@pytest.mark.parametrize("name", ["calibrate", "learned-fusion"])
def test_fit_of_a_stage_without_epochs(problem, tmp_path, name):
    out = tmp_path / "fitted"
    refused = run("fit", name, "--train", problem, "--out", out, "--training", "epochs=2", code=2)
    assert "has no training settings (got epochs)" in refused
    run("fit", name, "--train", problem, "--set", "candidates=10", "--out", out)
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "weights.safetensors"]
    run("rerank", problem, "--pipeline", out, "--out", tmp_path / "run.npz")
    judged = rerankit.read(problem), rerankit.read(problem, "relevance")
    assert rerankit.load(out) == rerankit.stage(name, candidates=10).fit(*judged)


def test_fit_of_a_plugin_s_stage(problem, tmp_path):
    (tmp_path / "shift.py").write_text(SHIFT)
    out, words = tmp_path / "fitted", ["--plugin", tmp_path / "shift.py"]
    plugins.reset()
    fit = ["fit", "shift", "--train", problem, "--out", out, *words]
    assert "'validation' is not used by fit of stage 'shift': it chooses nothing by other queries" in run(
        *fit, "--validation", problem, code=2
    )
    run(*fit)
    run("rerank", problem, "--pipeline", out, "--out", tmp_path / "run.npz", *words)
    plugins.reset()


def test_fit_goes_on_from_what_a_folder_holds(problem, tmp_path):
    first, then = tmp_path / "first", tmp_path / "then"
    run("fit", "pillar-small", "--train", problem, "--out", first, *SIZES, *QUICK)
    begun = rerankit.load(first)
    run("fit", first, "--train", problem, "--out", then, *QUICK, "--set", "losses={hinge: 0}")
    gone_on = rerankit.load(then)
    assert gone_on.get_params() == {**begun.get_params(), "losses": {"hinge": 0}}
    judged = rerankit.read(problem), rerankit.read(problem, "relevance")
    settings = begun.training_settings().changed(epochs=2, device="cpu")
    assert begun.clone(losses={"hinge": 0}).fit(*judged, settings=settings) == gone_on
    both = tmp_path / "both"
    Pipeline(["metric", begun.clone()]).save(both)
    shown = run("fit", both, "--train", problem, "--out", tmp_path / "fitted")
    assert "step" not in shown  # the stage that lacked weights is fitted, the other stays
    assert rerankit.load(tmp_path / "fitted").stages[1] == begun
    assert rerankit.load(tmp_path / "fitted").fitted


def test_a_run_that_breaks_down_leaves_what_was_good(problem, tmp_path):
    out = tmp_path / "out"
    words = ["fit", "pillar-small", "--train", problem, "--out", out, *SIZES]
    broken = ["--training", "learning_rate=1.0e+30", "--training", "optimizer=sgd", "--training", "epochs=50"]
    shown = run(*words, *broken, "--training", "clip_norm=null", "--training", "device=cpu", code=1)
    assert "training stopped at step" in shown
    assert all(np.isfinite(array).all() for array in rerankit.load(out).get_weights().values())


def test_import_pillar(golden, tmp_path):
    shown = run(
        "import",
        "pillar",
        golden / "leaprr_checkpoint.pth",
        "--out",
        tmp_path / "stage",
        "--heads",
        4,
        "--set",
        "device=cpu",
    )
    assert "stage('pillar'" in shown
    assert rerankit.load(tmp_path / "stage").width == 24
    torch.save({"model": torch.ones(2)}, tmp_path / "other.pth")
    assert "is not a pillar checkpoint" in run("import", "pillar", tmp_path / "other.pth", "--out", "x", code=2)
    assert "'out' must not exist" in run(
        "import", "pillar", golden / "leaprr_checkpoint.pth", "--out", tmp_path / "stage", "--heads", 4, code=2
    )
    assert "'heads' must be given" in run(
        "import", "pillar", golden / "leaprr_checkpoint.pth", "--out", tmp_path / "y", code=2
    )


def test_unknown_settings_and_losses_name_the_nearest(problem, tmp_path):
    plan = ("fit", "pillar-small", "--train", problem, "--out", tmp_path / "out")
    assert "'--training' must be NAME=VALUE (got 'epochs')" in run(*plan, "--training", "epochs", code=2)
    assert "unknown training setting 'epoch'; did you mean 'epochs'" in run(*plan, "--training", "epoch=3", code=2)
    assert "unknown loss 'triplets'; did you mean 'triplet'" in run(*plan, "--set", "losses={triplets: 3}", code=2)
    assert not (tmp_path / "out").exists()
