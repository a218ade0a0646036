"""fit, score and bench of composed retrieval, from the datasets' own files to figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from drawn_fashion_iq import write_fashion_iq
from rerankit.cli import build
from rerankit.tasks.miniatures.composed import write_cirr

pytest.importorskip("torch", reason="these commands train and score with torch")
pytest.importorskip("PIL", reason="the made-up pictures are drawn")

SIZES = {
    "hidden": 16,
    "layers": 1,
    "heads": 2,
    "intermediate": 16,
    "positions": 24,
    "width": 16,
    "projection": 8,
    "image_size": 16,
    "patch_size": 8,
    "vision_layers": 1,
    "vision_heads": 2,
    "vision_intermediate": 16,
}
TRAINING = ["--training", "epochs=1", "--training", "batch_size=4", "--training", "device=cpu"]


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(build(), [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.stdout


def settings(images: str) -> list[str]:
    plan = json.dumps({"sizes": SIZES, "hard_negatives": 1, "depth": 8, "tune_images": ["filter"]})
    return ["--set", f"images={images}", "--set", "device=cpu", "--set", f"training={plan}", *TRAINING]


@pytest.fixture(scope="module")
def cirr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cirr")
    write_cirr(folder, split="train", queries=8, size=16)
    return write_cirr(folder, queries=6, size=16)


def test_cirr_from_files_to_figures(cirr: Path, tmp_path: Path) -> None:
    images = settings(str(cirr / "img_raw/{path}"))
    fitted = tmp_path / "fitted"
    run("fit", "triplet", "--task", "cirr", "--train", cirr, "--validation", cirr, "-o", fitted, *images)
    assert rerankit.load(fitted).fitted
    assert (fitted / "training/dual/history.csv").is_file()
    task = ("--data", cirr, "--task-set", "gallery=null", "--json")
    (row,) = json.loads(run("score", "triplet", fitted, "-o", tmp_path / "scores", *task))
    assert (row["file"], row["shape"]) == ("scores.npy", [6, 384])
    run("bench", "cirr", "--scores", tmp_path / "scores/scores.npy", "-p", fitted, "-k", "3", *task)
    blind = ("--data", write_cirr(cirr, split="test1", queries=3, size=16), "--task-set", "gallery=null")
    blind = (*blind, "--task-set", "split=test1")
    run("score", "triplet", fitted, "-o", tmp_path / "blind", *blind)
    write = ("submission", "write", "cirr", tmp_path / "blind/scores.npy", *blind)
    run(*write, "-o", tmp_path / "first")
    run(*write, "-p", fitted, "-k", "5", "-o", tmp_path / "server")
    before, after = (json.loads((tmp_path / name / "recall.json").read_text()) for name in ("first", "server"))
    assert before != after
    lists = [(before[query], after[query]) for query in before if query not in ("version", "metric")]
    assert [set(one) for one, _ in lists] == [set(other) for _, other in lists]
    assert [one[5:] for one, _ in lists] == [other[5:] for _, other in lists]


def test_fashion_iq_from_files_to_figures(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write_fashion_iq(tmp_path, split=split, queries=2, size=16)
    images = settings(str(tmp_path / "images/{id}.png"))
    fitted = tmp_path / "fitted"
    run("fit", "triplet", "--task", "fashion-iq", "--train", tmp_path, "-o", fitted, *images)
    task = ("--data", tmp_path, "--json")
    rows = json.loads(run("score", "triplet", fitted, "--task", "fashion-iq", "-o", tmp_path / "scores", *task))
    assert [row["file"] for row in rows] == ["dress.npy", "shirt.npy", "toptee.npy"]
    assert np.load(tmp_path / "scores/dress.npy").shape == (2, 384)
    run("bench", "fashion-iq", "--scores", tmp_path / "scores", "-p", fitted, "-k", "3", *task)


def test_score_needs_one_source_and_a_pattern_that_fits(cirr: Path, tmp_path: Path) -> None:
    both = CliRunner().invoke(build(), ["score", "triplet", str(tmp_path), "-o", str(tmp_path / "out")])
    assert both.exit_code == 2
    assert "either --problem FILE or --data FOLDER" in both.output


def test_a_problem_without_texts_is_refused_and_long_texts_are_told(cirr: Path, tmp_path: Path) -> None:
    run(
        "fit",
        "triplet",
        "--task",
        "cirr",
        "--train",
        cirr,
        "-o",
        tmp_path / "fitted",
        *settings(str(cirr / "img_raw/{path}")),
    )
    for texts in (None, ["make it red", "make it red " * 20]):
        asked = {"reference_tokens": np.ones((2, 5, 16), np.float16), **({} if texts is None else {"text": texts})}
        offered = {"candidate_tokens": np.ones((3, 5, 16), np.float16)}
        problem = rerankit.Problem(np.ones((2, 3)), query_features=asked, gallery_features=offered)
        rerankit.write(tmp_path / f"{texts is None}", problem)
    score = ["score", "triplet", str(tmp_path / "fitted"), "-o", str(tmp_path / "out"), "--problem"]
    refused = CliRunner().invoke(build(), [*score, str(tmp_path / "True")])
    assert refused.exit_code == 2
    assert "stage 'triplet' needs query_features:text|text_ids" in refused.output
    with pytest.warns(UserWarning, match="1 of 2 texts have more than 24 tokens"):
        assert CliRunner().invoke(build(), [*score, str(tmp_path / "False")]).exit_code == 0
