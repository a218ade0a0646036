"""fit, score, import and bench of the hierarchical scorer, from DrillDown's files to figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit.cli import build
from rerankit.tasks import task

pytest.importorskip("torch", reason="these commands train and score with torch")

SMALL = {"dim": 8, "reasoning_dim": 8, "word_dim": 6, "region_slots": 10, "cascade": 4, "dropout": 0.1, "device": "cpu"}
SETTINGS = [item for name, value in SMALL.items() for item in ("--set", f"{name}={value}")]
TASK = ["--task-set", "images=null", "--task-set", "regions=10"]


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(build(), [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*words: str | Path) -> str:
    result = CliRunner().invoke(build(), [str(word) for word in words])
    assert result.exit_code != 0
    return result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drilldown")
    task("visual-genome").write_miniature(folder)
    return folder


@pytest.fixture(scope="module")
def fitted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fitted") / "stage"
    training = ["--training", "epochs=1", "--training", "batch_size=6", "--training", "device=cpu"]
    run(
        "fit", "hmrn", "--task", "visual-genome", "--train", data, "--validation", data, "-o", out, *SETTINGS, *training
    )
    return out


def test_fit_reads_the_dataset_s_own_files(fitted: Path) -> None:
    stage = rerankit.load(fitted)
    assert stage.fitted
    assert "dog" in stage.vocabulary.words  # type: ignore[attr-defined]
    assert (fitted / "training" / "I-T" / "history.csv").is_file()


def test_score_writes_a_matrix_a_round_and_bench_reads_them(fitted: Path, data: Path, tmp_path: Path) -> None:
    rows = json.loads(run("score", "hmrn", fitted, "--data", data, "-o", tmp_path / "scores", *TASK, "--json"))
    assert [row["file"] for row in rows] == [f"round-{t:02d}.npy" for t in range(1, 11)]
    matrix = np.load(tmp_path / "scores" / "round-10.npy", mmap_mode="r")
    assert matrix.shape == (12, 12)
    assert np.isfinite(matrix).all()
    out = tmp_path / "results"
    where = ["--scores", tmp_path / "scores", "--data", data, "-o", out, "-k", "6", *TASK]
    rows = json.loads(run("bench", "visual-genome", *where, "-p", fitted, "--figure", "round-10/success@1", "--json"))
    assert rows
    (result,) = out.glob("*.json")
    parts = json.loads(result.read_text())["parts"]
    assert [part["name"] for part in parts] == [f"round-{t:02d}" for t in range(1, 11)]
    (picture,) = out.glob("*.png")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert "needs scores for round-01" in fails("bench", "visual-genome", *where, "-p", fitted, "--scores", data)


def test_score_writes_rankings_with_the_cascade(fitted: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists"
    rows = json.loads(
        run("score", "hmrn", fitted, "--data", data, "-o", out, *TASK, "-k", "5", "--rounds", "2", "--json")
    )
    assert [(row["file"], row["reasoned"]) for row in rows] == [("round-02.npz", 4)]
    ranking = rerankit.read(out / "round-02.npz", "ranking")
    assert ranking.shape == (12, 5)


def test_a_problem_on_disk_scores_the_same(fitted: Path, data: Path, tmp_path: Path) -> None:
    """Features as plain arrays: padded regions with their counts, texts with tabs between the rounds."""
    problem, _ = task("visual-genome", split="test", images=None, regions=10).judged(data)  # type: ignore[attr-defined]
    values, counts = problem.gallery_features["regions"].block(slice(0, 12))
    texts = np.array(["\t".join(search) for search in problem.query_features["text"]])
    query_features = {"text": texts}
    gallery_features = {"regions": values, "region_counts": counts}
    rerankit.write(
        tmp_path / "problem",
        rerankit.Problem(
            np.zeros((12, 12), np.float32), query_features=query_features, gallery_features=gallery_features
        ),
    )
    run("score", "hmrn", fitted, "--problem", tmp_path / "problem", "-o", tmp_path / "a", "--rounds", "last")
    run("score", "hmrn", fitted, "--data", data, *TASK, "-o", tmp_path / "b", "--rounds", "last")
    one, other = (np.load(tmp_path / name / "round-10.npy") for name in "ab")
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_import_makes_a_stage_of_checkpoints(golden: Path, tmp_path: Path) -> None:
    files = [golden / f"hmrn_{name}_checkpoint.pth.tar" for name in ("it", "ti")]
    assert "ensemble" in run("import", "hmrn", *files, "-o", tmp_path / "stage", "--set", "cascade=20")
    assert rerankit.load(tmp_path / "stage").cascade == 20  # type: ignore[attr-defined]


def test_score_replaces_only_scores_and_only_when_asked(fitted: Path, data: Path, tmp_path: Path) -> None:
    words: list[str | Path] = ["score", "hmrn", fitted, "--data", data, *TASK, "--rounds", "1", "-o"]
    run(*words, tmp_path / "a")
    assert "'out' must not exist, unless --force" in fails(*words, tmp_path / "a")
    run(*words, tmp_path / "a", "--force")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    assert "which rerankit did not write" in fails(*words, tmp_path / "photos", "--force")


def test_what_is_refused(fitted: Path, data: Path, tmp_path: Path) -> None:
    assert "either --problem" in fails("score", "hmrn", fitted, "-o", tmp_path / "x")
    assert "at most 10" in fails("score", "hmrn", fitted, "--data", data, *TASK, "-o", tmp_path / "x", "--rounds", "11")
    bare = tmp_path / "bare.npy"
    np.save(bare, np.zeros((2, 3), np.float32))
    assert "query feature 'text'" in fails("score", "hmrn", fitted, "--problem", bare, "-o", tmp_path / "x")
    assert "no split to train on" in fails(
        "fit", "hmrn", "--task", "flickr30k", "--train", data, "-o", tmp_path / "y", *SETTINGS
    )
    (tmp_path / "junk.pth.tar").write_bytes(b"junk")
    assert "refused" in fails("import", "hmrn", tmp_path / "junk.pth.tar", "-o", tmp_path / "z")
