"""Commands that are killed and asked for again: what comes out is what comes out of an uninterrupted run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Relevance
from rerankit.tasks import task

PROGRAM = Path(__file__).parent / "program.py"
QUICK = ["--training", "epochs=3", "--training", "device=cpu", "--training", "batch_size=20"]
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process"),
    pytest.mark.timeout(3600),
]


class Program:
    """A command in a folder, run again and again by a process that has read it."""

    def __init__(self, folder: Path, words: list[Any]) -> None:
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.said = (folder / "said.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            cwd=folder,
            env={**os.environ, **threads},
        )

    def run(self, place: Path, number: int = 0) -> int:
        """Run it, killed before its step of this number (0: not at all); how many steps it took, or -1."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{number} {place}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, (self.said.seek(0), self.said.read()[-5000:])
        return int(answer)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()
        self.said.close()


def check(
    area: str,
    folder: Path,
    words: list[Any],
    out: str,
    same: Callable[[Path, Path], None],
    kills: int,
    rng: Any,
    tried: Any,
) -> None:
    """Kill a command so often, ask for it again after each kill, and compare with an uninterrupted run."""
    done = 0
    with Program(folder, words) as program:
        program.run(folder / "whole" / out)
        steps = program.run(folder / "again" / out)
        same(folder / "whole" / out, folder / "again" / out)
        while done < kills:
            place = folder / f"killed-{done}" / out
            killed = [program.run(place, number) for number in (*rng.integers(1, steps + 1, 2).tolist(), 0)]
            assert not list(folder.rglob(".rerankit-*"))
            same(folder / "whole" / out, place)
            done += killed.count(-1)
    tried(f"kills of {area}", done)


def same_runs(one: Path, other: Path) -> None:
    assert rerankit.read(one).to_dict() == rerankit.read(other).to_dict()


def same_results(one: Path, other: Path) -> None:
    figures = []
    for folder in (one, other):
        found = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
        figures.append([(each["summary"], each["settings"], each.get("tuning"), each["scores"]) for each in found])
        assert not [file for file in folder.iterdir() if file.name.endswith(".partial")]
    assert figures[0] == figures[1] != []


def same_stages(one: Path, other: Path) -> None:
    assert rerankit.load(one, trust=True) == rerankit.load(other, trust=True)  # triplet's names its cache
    for file in sorted(one.rglob("history.csv")):
        assert file.read_text() == (other / file.relative_to(one)).read_text()


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """A small caption benchmark with scores, and its validation split."""
    task("flickr30k").write_miniature(tmp_path)
    task("flickr30k", split="val").write_miniature(tmp_path / "val", seed=1)
    for name in ("scores", "val"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).random((7, 21), dtype=np.float32))
    (tmp_path / "space.yaml").write_text("csls.neighbours: [1, 2, 3]\n")
    return tmp_path


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A small problem with relevance."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(20, 6)).astype(np.float32)
    owner = np.repeat(np.arange(20), 2)
    texts = images[owner] + generator.normal(size=(40, 6)).astype(np.float32)
    relevance = Relevance.from_labels(np.arange(20), owner)
    rerankit.write(tmp_path / "train.npz", Problem.from_embeddings(images, texts), relevance=relevance)
    return tmp_path


def test_rerank(judged: Path, amount, rng, tried) -> None:
    words = ["rerank", "train.npz", "-s", "csls", "-k", 5, "--force"]
    check("rerank", judged, words, "run.npz", same_runs, amount(1, 40), rng, tried)


def test_shards(judged: Path, amount, rng, tried) -> None:
    words = ["rerank", "train.npz", "-s", "dba", "-k", 5, "--engine", "local", "--shard-size", 7, "--resume"]
    check("runs in shards", judged, words, "run", same_runs, amount(1, 40), rng, tried)


def test_prepare(judged: Path, amount, rng, tried) -> None:
    words = ["prepare", "train.npz", "-s", "csls", "--set", "neighbours=3", "--force", "--bank", "train.npz"]

    def same(one: Path, other: Path) -> None:
        queries = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
        answers = [rerankit.load(folder).rerank(queries, k=5) for folder in (one, other)]
        assert answers[0] == answers[1]
        assert {file.name for file in one.rglob("*")} == {file.name for file in other.rglob("*")}

    check("prepare", judged, words, "ready", same, amount(1, 40), rng, tried)


def test_bench(captions: Path, amount, rng, tried) -> None:
    words = ["bench", "flickr30k", "--data", ".", "--task-set", "images=7", "--scores", "scores.npy", "-k", 5]
    words += ["-p", "csls", "-p", "mutual-rank"]
    check("bench", captions, words, "results", same_results, amount(1, 40), rng, tried)


def test_tune(captions: Path, amount, rng, tried) -> None:
    words = ["bench", "flickr30k", "--data", ".", "--task-set", "images=7", "--scores", "scores.npy", "-k", 5]
    words += ["-p", "csls"]
    words += ["--tune", "space.yaml", "--validation-scores", "val.npy", "--validation-data", "val"]
    words += ["--validation-task-set", "images=7", "--validation-task-set", "split=val"]
    many = amount(0, 40)
    if not many:
        pytest.skip("make test-hostile kills searches")
    check("tune", captions, words, "results", same_results, many, rng, tried)


SIZES = ["--set", "pillars=5", "--set", "neighbours=3", "--set", "width=8", "--set", "heads=2", "--set", "candidates=6"]
FITS = {
    "calibrate": ([], []),
    "learned-fusion": ([], []),
    "pillar-small": (["--set", "pillars=5", "--set", "neighbours=3"], QUICK),
    "pillar": (SIZES, QUICK),
    "pillar-plus": (["--set", "cells_seen=[6, 6]", "--set", "cells_kept=[4, 4]"], QUICK),
}


@pytest.mark.parametrize("name", FITS)
def test_fit(name: str, judged: Path, amount, rng, tried) -> None:
    settings, training = FITS[name]
    many = amount(0, 40)
    if not many:
        pytest.skip("make test-hostile kills fits")
    pytest.importorskip("torch", reason="torch is not installed")
    words = ["fit", name, "--train", "train.npz", "--validation", "train.npz", *settings, *training]
    if name in ("calibrate", "learned-fusion"):
        words = ["fit", name, "--train", "train.npz", *settings, "--restart"]
    check(f"fit {name}", judged, words, "fitted", same_stages, many, rng, tried)


def test_fit_hmrn(tmp_path: Path, amount, rng, tried) -> None:
    many = amount(0, 40)
    if not many:
        pytest.skip("make test-hostile kills fits")
    pytest.importorskip("torch", reason="torch is not installed")
    task("visual-genome").write_miniature(tmp_path / "data")
    small = {"dim": 8, "reasoning_dim": 8, "word_dim": 6, "region_slots": 10, "cascade": 4, "dropout": 0.1}
    settings = [item for key, value in small.items() for item in ("--set", f"{key}={value}")]
    words = ["fit", "hmrn", "--task", "visual-genome", "--train", "data", "--validation", "data", *settings, *QUICK]
    check("fit hmrn", tmp_path, words, "fitted", same_stages, many, rng, tried)


def test_fit_triplet_with_its_cache(tmp_path: Path, amount, rng, tried) -> None:
    many = amount(0, 40)
    if not many:
        pytest.skip("make test-hostile kills fits")
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("PIL", reason="the made-up pictures are drawn")
    from rerankit.tasks.miniatures.composed import write_cirr

    write_cirr(tmp_path / "data", split="train", queries=8, size=16)
    write_cirr(tmp_path / "data", queries=6, size=16)
    sizes = {"hidden": 16, "layers": 1, "heads": 2, "intermediate": 16, "positions": 24, "width": 16, "projection": 8}
    sizes |= {"image_size": 16, "patch_size": 8, "vision_layers": 1, "vision_heads": 2, "vision_intermediate": 16}
    plan = json.dumps({"sizes": sizes, "hard_negatives": 1, "depth": 8})
    settings = ["images=data/img_raw/{path}", "cache=cache", "cache_bytes=20KB", f"training={plan}", "device=cpu"]
    words = ["fit", "triplet", "--task", "cirr", "--train", "data", "--validation", "data", *QUICK]
    words += [item for value in settings for item in ("--set", value)]
    check("fit triplet", tmp_path, words, "fitted", same_stages, many, rng, tried)
