"""`rerankit bench`, `compare`, `evaluate` and `tasks`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rerankit import Problem, Relevance, stage, write
from rerankit.cli import build
from rerankit.cli._output import show_figures
from rerankit.tasks import task


def run(*arguments: object):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(build(), [str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    task("flickr30k").write_miniature(tmp_path)
    task("flickr30k", split="val").write_miniature(tmp_path / "val", seed=1)
    rng = np.random.default_rng(0)
    for name in ("first", "second", "val"):
        np.save(tmp_path / f"{name}.npy", rng.random((7, 21), dtype=np.float32))
    (tmp_path / "pipe.yaml").write_text("stages:\n  - mutual-rank\n")
    return tmp_path


def test_help_swallows_no_brackets() -> None:
    assert "{stage.parameter: [values]}" in " ".join(run("bench", "--help").output.replace("│", " ").split())


def test_bench_and_compare(data: Path) -> None:
    plan = ("bench", "flickr30k", "--data", data, "--task-set", "images=7", "--scores", data / "first.npy", "-k", 5)
    done = run(*plan, "-p", "mutual-rank", "-p", data / "pipe.yaml", "--out", data / "results")
    assert done.exit_code == 0, done.output
    assert "first stage" in done.output
    assert "transductive" in done.output
    files = sorted((data / "results").glob("*.json"))
    assert len(files) == 2
    shown = run("compare", *files, "-m", "success@1", "--samples", 200)
    assert shown.exit_code == 0, shown.output
    assert "# image-to-text" in shown.output
    assert run("compare", data / "results", "-m", "success@1", "--samples", 200).output == shown.output
    for style in ("md", "latex", "csv", "html"):
        assert run("compare", *files, "--format", style, "--samples", 200).exit_code == 0
        wide = run("compare", *files, "--format", style, "--layout", "wide", "--samples", 200)
        assert wide.exit_code == 0, wide.output
        assert "R@5" in wide.output
    assert "unknown --layout 'broad'" in run("compare", *files, "--layout", "broad").output
    table = json.loads(run("compare", *files, "--json", "--samples", 200, "--part", "text-to-image").output)
    assert list(table) == ["text-to-image"]
    figures = json.loads(run(*plan, "-p", "mutual-rank", "--json", "--figure", "text-to-image/success@1").stdout)
    assert figures[0]["pipeline"] == "first stage"
    early = run(*plan, "-p", "nnn", "--figure", "success@1", "--out", data / "never")
    assert "'figures' must be figures of the task: image-to-text/success@1" in early.output
    assert not (data / "never").exists()


def test_parameters_of_saved_stages_are_changed(data: Path) -> None:
    stage("dual-softmax", beta=3.0).save(data / "saved")
    plan = ("bench", "flickr30k", "--data", data, "--task-set", "images=7", "--scores", data / "first.npy", "-k", 5)
    several = (*plan, "-p", data / "saved", "-p", "mutual-rank", "--out", data / "changed")
    done = run(*several, "--set", "dual-softmax.beta=7")
    assert done.exit_code == 0, done.output
    texts = [json.loads(path.read_text())["pipeline"]["text"] for path in (data / "changed").glob("*.json")]
    assert sorted(texts) == ["Pipeline([stage('dual-softmax', beta=7.0)])", "Pipeline([stage('mutual-rank')])"]
    lost = run(*several, "--set", "nnn.alpha=1").output
    assert "'--set' must name stages of the pipelines: dual-softmax, mutual-rank (got nnn.alpha)" in lost
    assert "'--set' must be STAGE.NAME=VALUE" in run(*several, "--set", "beta").output


def test_several_tasks_are_compared_one_by_one(data: Path) -> None:
    small = task("coco-5k").write_miniature(data / "coco")
    (shape,) = [matrix.shape for matrix in small.load(data / "coco").matrices.values()]
    np.save(data / "coco.npy", np.random.default_rng(1).random(shape, dtype=np.float32))
    for name, images, scores in (("flickr30k", 7, "first"), ("coco-5k", 10, "coco")):
        folder = data if name == "flickr30k" else data / "coco"
        plan = ("bench", name, "--data", folder, "--task-set", f"images={images}", "--scores", data / f"{scores}.npy")
        assert run(*plan, "-p", "csls", "-k", 5, "--out", data / "several").exit_code == 0
    both = ("compare", data / "several", "--samples", 100, "-m", "success@1")
    shown = run(*both, "--part", "text-to-image")
    assert shown.exit_code == 0, shown.output
    heads = [text for text in shown.output.splitlines() if text.startswith("# ")]
    assert heads == ["# coco-5k: text-to-image", "# flickr30k: text-to-image"]
    assert len(json.loads(run(*both, "--json").stdout)) == 4
    wide = run("compare", data / "several", "--samples", 100, "--layout", "wide")
    assert [text for text in wide.output.splitlines() if text.startswith("# ")] == ["# coco-5k", "# flickr30k"]
    lost = run(*both, "--part", "nowhere").output
    assert "'--part' must name parts of the tasks coco-5k, flickr30k (got nowhere)" in " ".join(lost.split())


def test_tune(data: Path) -> None:
    (data / "space.yaml").write_text("beta: [1, 10]\n")
    plan = ["bench", "flickr30k", "--data", data, "--task-set", "images=7", "--scores", data / "first.npy", "-k", "5"]
    plan += ["-p", "dual-softmax", "--tune", data / "space.yaml"]
    asked = run(*plan)
    assert asked.exit_code == 2
    assert "--validation-scores" in asked.output
    val = ["--validation-data", data / "val", "--validation-task-set", "images=7", "--validation-task-set", "split=val"]
    asked = run(*plan, *val, "--validation-scores", data / "val.npy", "--sampler", "tpe")
    assert asked.exit_code == 2
    assert "'trials' must say how many settings the sampler may try" in " ".join(asked.output.split())
    done = run(*plan, *val, "--validation-scores", data / "val.npy", "--out", data / "tuned")
    assert done.exit_code == 0, done.output
    (path,) = (data / "tuned").glob("*.json")
    assert json.loads(path.read_text())["tuning"]["chosen"]["beta"] in (1, 10)


def test_one_space_for_several_pipelines(data: Path) -> None:
    (data / "space.yaml").write_text("dual-softmax.beta: [1, 10]\ncsls.neighbours: [1, 2]\n")
    plan = ["bench", "flickr30k", "--data", data, "--task-set", "images=7", "--scores", data / "first.npy", "-k", "5"]
    plan += ["--validation-data", data / "val"]
    plan += ["--validation-task-set", "images=7", "--validation-task-set", "split=val"]
    plan += ["--validation-scores", data / "val.npy", "--out", data / "tuned", "--tune", data / "space.yaml"]
    done = run(*plan, "-p", "dual-softmax", "-p", "csls", "-p", "mutual-rank", "--tune-figure", "image-to-text/rsum")
    assert done.exit_code == 0, done.output
    assert "nothing to choose for mutual-rank" in done.stderr
    found = {path.name.split("__")[2]: json.loads(path.read_text()) for path in (data / "tuned").glob("*.json")}
    assert {name: each["tuning"] and each["tuning"]["figure"] for name, each in found.items()} == {
        "dual-softmax": "image-to-text/rsum",
        "csls": "image-to-text/rsum",
        "mutual-rank": None,
    }
    assert "nothing.yaml: no such file" in run(*plan[:-1], data / "nothing.yaml", "-p", "csls").output


def test_errors_are_one_line_with_the_list_below(data: Path) -> None:
    missing = run("bench", "coco-5k", "--data", data / "nothing", "--scores", "x.npy", "-p", "mutual-rank")
    assert missing.exit_code == 2
    assert [line.split(":")[0].split()[-1] for line in missing.output.splitlines()[1:]] == [
        "dataset_coco.json",
        "coco_precomp/testall_caps.txt",
        "coco_precomp/testall_ids.txt",
    ]
    unknown = run("bench", "flickr", "--data", data, "--scores", "x.npy", "-p", "mutual-rank")
    assert "did you mean 'flickr30k'" in unknown.output


def test_evaluate(tmp_path: Path) -> None:
    np.save(tmp_path / "scores.npy", np.array([[0.9, 0.1], [0.8, 0.2]], np.float32))
    write(tmp_path / "right.npz", Relevance.from_lists([[0], [1]], 2))
    files = (tmp_path / "scores.npy", tmp_path / "right.npz")
    shown = json.loads(run("evaluate", *files, "-m", "success@1", "--json").stdout)
    assert shown == [{"metric": "success@1", "value": 0.5}]
    both = run("evaluate", *files, "--both", "-m", "success@1")
    assert both.exit_code == 0, both.output
    assert "reverse" in both.output


def test_evaluate_runs(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("q1 Q0 d1 1 0.9 x\nq1 Q0 d2 2 0.5 x\nq2 Q0 d2 1 0.5 x\n")
    (tmp_path / "a.qrels").write_text("q1 0 d2 1\nq2 0 d2 1\n")
    shown = json.loads(run("evaluate", tmp_path / "a.run", tmp_path / "a.qrels", "-m", "mrr", "--json").stdout)
    assert shown == [{"metric": "mrr", "value": 0.75}]
    values = run("evaluate", tmp_path / "a.run", tmp_path / "a.qrels", "-m", "mrr", "--json", "--per-query")
    assert json.loads(values.stdout)["forward"]["per_query"]["mrr"] == [0.5, 1.0]
    told = run("evaluate", tmp_path / "a.run", tmp_path / "a.qrels", "-m", "mrr", "--per-query")
    assert told.stderr == "note: --json shows the value of each query\n"


def test_a_run_that_lacks_judged_queries(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("q1 Q0 d1 1 0.9 x\n")
    (tmp_path / "a.qrels").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    plan = ("evaluate", tmp_path / "a.run", tmp_path / "a.qrels", "-m", "mrr", "--json")
    refused = run(*plan)
    assert refused.exit_code == 2
    assert "must hold every query of a.qrels (got 1 missing, such as ['q2'])" in refused.output
    counted = run(*plan, "--missing", "zero")
    assert json.loads(counted.stdout) == [{"metric": "mrr", "value": 0.5}]


def test_tasks() -> None:
    shown = run("tasks")
    assert shown.exit_code == 0
    assert "market1501" in shown.output
    told = " ".join(run("tasks", "generic").stdout.split())
    assert "Parameters (--task-set): relevance='relevance.npz', both=False," in told
    files = json.loads(run("tasks", "cirr", "--json").stdout)
    assert files[0]["file"] == "captions/cap.rc2.val.json"


def test_miniatures(tmp_path: Path) -> None:
    made = run("tasks", "flickr30k", "--miniature", tmp_path / "small", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout) == [{"matrix": "scores", "queries": 7, "gallery": 21}]
    assert f"rerankit bench flickr30k --data {tmp_path / 'small'} --task-set images=7 --scores" in made.stderr
    assert task("flickr30k", images=7).load(tmp_path / "small").matrices["scores"].shape == (7, 21)
    assert "must be a new folder" in run("tasks", "flickr30k", "--miniature", tmp_path / "small").output
    assert "needs a task's name" in run("tasks", "--miniature", tmp_path / "other").output
    unknown = run("tasks", "flickr30k", "--task-set", "pictures=3").output
    assert "unexpected keyword argument 'pictures' (its parameters: images" in unknown


def test_tables_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"system": "a", "metric": "map", "value": "1.00", "interval": "0.50 … 1.50", "": "+"}]
    show_figures(rows, 2)
    assert capsys.readouterr().out.splitlines()[0] == "system  metric  value     interval"
    monkeypatch.setattr("rerankit.cli._output.line_width", lambda: 30)
    show_figures(rows, 2)
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if line.startswith("system")]
    assert heads == ["system  metric  value", "system  metric     interval"]
    assert max(map(len, lines)) <= 30


def test_submission(tmp_path: Path) -> None:
    benchmark = task("cirr").write_miniature(tmp_path).load(tmp_path)
    matrix = benchmark.matrices["scores"]
    scores = np.random.default_rng(0).random(matrix.shape, dtype=np.float32)
    named = Problem(scores, query_ids=[str(name) for name in matrix.query_ids], gallery_ids=list(matrix.gallery_ids))
    write(tmp_path / "deep.run", named.ranking())
    write(tmp_path / "short.run", named.ranking(50))
    plan = ("cirr", "--data", tmp_path, "--task-set", "gallery=60")
    done = run("submission", "write", plan[0], tmp_path / "deep.run", *plan[1:], "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    files = [tmp_path / "out" / f"{name}.json" for name in ("recall", "recall_subset")]
    assert done.stdout.split() == [str(file) for file in files]
    np.save(tmp_path / "scores.npy", scores)
    run("submission", "write", plan[0], tmp_path / "scores.npy", *plan[1:], "--out", tmp_path / "again")
    assert (tmp_path / "again" / "recall.json").read_bytes() == files[0].read_bytes()
    again = ["submission", "write", plan[0], tmp_path / "scores.npy", *plan[1:], "--out", tmp_path / "again"]
    assert "recall.json" in run(*again).stderr
    assert run(*again, "--force").exit_code == 0
    shown = json.loads(run("submission", "check", plan[0], *files, *plan[1:], "--json").stdout)
    assert [(row["is"], row["queries"], row["names"]) for row in shown] == [("recall", 8, 50), ("recall_subset", 8, 3)]
    wanted = benchmark.evaluate(benchmark.parts[0], scores)
    assert (shown[0]["success@50"], shown[0]["subset_success@1"]) == (wanted["success@50"], None)
    assert shown[1]["subset_success@1"] == wanted["subset_success@1"]
    changed = (*again, "--force", "-p", "mutual-rank", "-k", 20)
    written = {}
    for weight in (0, 1):
        assert run(*changed, "--set", f"weight={weight}").exit_code == 0
        written[weight] = (tmp_path / "again" / "recall.json").read_bytes()
    assert written[0] != written[1]
    short = run("submission", "write", plan[0], tmp_path / "short.run", *plan[1:], "--out", tmp_path / "none")
    assert short.exit_code == 2
    assert "at least 50 items other than the reference for every query of recall.json (got" in short.output
    assert not (tmp_path / "none").exists()


def test_a_blind_split_is_written_and_not_evaluated(tmp_path: Path) -> None:
    task("circo", split="test").write_miniature(tmp_path)
    path = tmp_path / "annotations" / "test.json"
    blind = [{k: v for k, v in each.items() if k != "gt_img_ids"} for each in json.loads(path.read_text())]
    path.write_text(json.dumps(blind))
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).random((7, 60)))
    plan = ("--data", tmp_path, "--task-set", "gallery=60", "--task-set", "split=test")
    done = run("submission", "write", "circo", tmp_path / "scores.npy", *plan, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    shown = run("submission", "check", "circo", tmp_path / "out" / "circo.json", *plan)
    assert "the server evaluates" in shown.output
    assert "map@5" not in shown.output


def test_runs_are_benched_by_name(tmp_path: Path) -> None:
    benchmark = task("cirr").write_miniature(tmp_path).load(tmp_path)
    matrix = benchmark.matrices["scores"]
    lines = [f"{query} Q0 {item} 1 {-at} x" for query in matrix.query_ids for at, item in enumerate(matrix.gallery_ids)]
    (tmp_path / "all.run").write_text("\n".join(reversed(lines)) + "\n")
    plan = ("bench", "cirr", "--data", tmp_path, "--task-set", "gallery=60", "-p", "fuse", "-k", 60)
    shown = json.loads(run(*plan, "--scores", tmp_path / "all.run", "--json").stdout)
    assert shown[0]["mean of success@5 and subset_success@1"] >= 0
    (tmp_path / "less.run").write_text("\n".join(lines[120:]) + "\n")
    less = run(*plan, "--scores", tmp_path / "less.run")
    assert "must list something for every query (got 2 of 8 queries without, such as [100, 101])" in less.output
    (tmp_path / "other.run").write_text("\n".join([*lines, "999 Q0 dev-x 1 0.5 x"]) + "\n")
    other = run(*plan, "--scores", tmp_path / "other.run")
    assert "got 1 unknown, such as ['999']" in other.output
