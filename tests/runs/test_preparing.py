"""Preparing in shards: the bits of one go, files that are whole, preparations that go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Bank, Gallery, Problem, Ready, Relevance, prepare, stage
from rerankit.cli import build
from rerankit.cutting import cut_by
from rerankit.engines import Done, Engine, Local
from rerankit.errors import InputError, StageError
from rerankit.files import lock_folder
from rerankit.pipelines.prepared import State
from rerankit.pipelines.scaling import NOTHING
from rerankit.plugins import manager
from rerankit.stages.hubness import claims
from runs.shards_here import Here, with_small_pieces

RANDOM = np.random.default_rng(0)
ITEMS, OLD, QUERIES = (RANDOM.normal(size=(count, 8)).astype(np.float16) for count in (150, 70, 6))
STAGES = [
    *(stage(name) for name in ("alpha-qe", "csls", "dba", "diffusion", "dual-is", "dual-softmax", "gnn")),
    *(stage(name) for name in ("inverted-softmax", "k-reciprocal", "mutual-neighbours", "mutual-rank", "nnn", "plan")),
    *(stage(name) for name in ("qb-norm", "sinkhorn")),
    stage("nnn", published=True),
    stage("inverted-softmax", published=True),
    stage("k-reciprocal", align=False, k1=6, distance="negative"),
    stage("gnn", k1=5, align=False),
    stage("sinkhorn", cells_kept=4),
    stage("nnn") >> stage("fuse", sources=["scores", stage("mutual-rank"), stage("dba").top(5)]),
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of rows are kept apart in groups of few rows, as they are where there are many items."""
    with_small_pieces(monkeypatch)
    monkeypatch.setattr(claims, "_HELD", 0)


def gallery_of(form: str = "cosine") -> Gallery:
    if form == "matrices":
        items, old = ITEMS.astype(np.float32), OLD.astype(np.float32)
        among = (items @ items.T, old @ items.T, old @ old.T)
        queries = QUERIES.astype(np.float32)
        bank = Bank(to_gallery=among[1], to_bank=among[2], to_queries=old @ queries.T)
        return Gallery.of(Problem(queries @ items.T, gallery_scores=among[0], query_bank=bank))
    return Gallery(ITEMS, metric=form, bank=OLD)


def bits(state: State) -> list[object]:
    arrays = [(name, array.dtype.str, array.tobytes()) for name, array in sorted(state.arrays.items())]
    return [arrays, dict(state.values), [bits(child) for child in state.children]]


@pytest.mark.parametrize("form", ["cosine", "euclidean", "matrices"])
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_any_number_of_shards_has_the_bits_of_one_go(one, form):
    gallery = gallery_of(form)
    expected = bits(prepare(one, gallery).prepared.state())
    for shards in (1, 2, 3, 7):
        ready = prepare(one, gallery, engine=Here(), shard_size=-(-150 // shards))
        assert bits(ready.prepared.state()) == expected, shards


def test_places_that_a_map_makes_equal_are_looked_up_where_they_are():
    old = np.random.default_rng(1).normal(size=(500, 8))
    gallery = Gallery(np.repeat(ITEMS[:60], 9, axis=0), bank=old)  # the last of a list is as near as those behind it
    one = stage("k-reciprocal", k1=3, k2=2)
    expected = bits(prepare(one, gallery).prepared.state())
    for size in (540, 270, 90):
        assert bits(prepare(one, gallery, engine=Here(), shard_size=size).prepared.state()) == expected


@pytest.mark.parametrize("name", [name for name in manager().stages if manager().is_builtin(name)])
def test_a_stage_is_cut_where_it_says_so(name):
    entry = manager().stages.entry(name)
    scaling, made = entry.load().scaling, None
    if name in ("auto", "fuse", "pipeline", "top", "learned-fusion"):
        return
    if name not in ("remote", "cross-encoder", "hmrn", "triplet", "maxsim", "calibrate", "metric"):
        made = entry.make()
    if made is None or "weights" in made.needs:
        assert scaling.cut == NOTHING or name.startswith("pillar")
        return
    seen: list[str] = []

    def cut(called, work, count, unit):
        seen.append(called)
        return [work(slice(0, count))]

    with cut_by(cut):
        made.prepare(gallery_of())
    assert bool(seen) == (scaling.cut != NOTHING)


def test_pillars_lists_are_cut():
    pytest.importorskip("torch", reason="torch is not installed")
    problem = Problem.from_embeddings(QUERIES, ITEMS, query_bank=OLD)
    small = stage("pillar-small", pillars=5, neighbours=3).fit(
        Problem.from_embeddings(ITEMS[:40], ITEMS[:40] + 0.01), Relevance.from_lists([[row] for row in range(40)], 40)
    )
    engine = Here()
    found = prepare(small, Gallery.of(problem), engine=engine, shard_size=40)
    assert bits(found.prepared.state()) == bits(prepare(small, Gallery.of(problem)).prepared.state())
    assert engine.done == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_same_and_leave_files(tmp_path: Path, workers):
    gallery = gallery_of()
    found = prepare("nnn", gallery, engine=Local(workers), parts=tmp_path / "parts", shard_size=40)
    assert bits(found.prepared.state()) == bits(prepare("nnn", gallery).prepared.state())
    assert len(list((tmp_path / "parts" / "000-highest").glob("*.safetensors"))) == 4
    assert not list(tmp_path.rglob(".rerankit-*"))


def test_a_preparation_that_was_stopped_goes_on(tmp_path: Path):
    how = {"parts": tmp_path / "parts", "shard_size": 40}
    with pytest.raises(KeyboardInterrupt):
        prepare("nnn", gallery_of(), engine=Here(2), **how)
    files = list((tmp_path / "parts" / "000-highest").glob("*.safetensors"))
    assert len(files) == 2
    files[0].write_bytes(files[0].read_bytes()[:-5])  # a damaged one is worked on again
    rest = Here()
    found = prepare("nnn", gallery_of(), engine=rest, **how)
    assert rest.done == 3
    assert bits(found.prepared.state()) == bits(prepare("nnn", gallery_of()).prepared.state())
    again = Here()
    prepare("nnn", gallery_of(), engine=again, **how)
    assert again.done == 0


def test_parts_are_those_of_one_preparation(tmp_path: Path):
    how = {"parts": tmp_path / "parts", "shard_size": 40}
    prepare("nnn", gallery_of(), **how)
    other = ITEMS.copy()
    other[-1, -1] += 1
    for text, gallery, name, more in (
        ("another gallery, or another bank", Gallery(other, bank=OLD), "nnn", {}),
        ("another gallery, or another bank", Gallery(ITEMS, bank=OLD[1:]), "nnn", {}),
        ("another gallery, or another bank", Gallery(ITEMS, bank=OLD, metric="dot"), "nnn", {}),
        ("another pipeline", gallery_of(), "csls", {}),
        ("another shard_size", gallery_of(), "nnn", {"shard_size": 41}),
    ):
        with pytest.raises(InputError, match=f"holds shards of {text}.*another folder"):
            prepare(name, gallery, **(how | more))
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "letter.txt").touch()
    with pytest.raises(InputError, match="'parts' must be a new or empty folder"):
        prepare("nnn", gallery_of(), parts=tmp_path / "else")
    lock = lock_folder(tmp_path / "parts")
    assert lock is not None
    with pytest.raises(InputError, match="in use by another run"):
        prepare("nnn", gallery_of(), **how)
    lock.release()


def test_bad_input_and_faults_are_told(tmp_path: Path):
    with pytest.raises(InputError, match="'shard_size' belongs to a preparation in shards"):
        prepare("nnn", gallery_of(), shard_size=4)
    with pytest.raises(InputError, match="'shard_size' must be at least 1"):
        prepare("nnn", gallery_of(), engine="local", shard_size=0)

    class Fails(Engine):
        name = "fails"

        def run(self, work, tasks, *, shared, retries):
            yield Done(tasks[0], error="no such thing", tries=3)

    with pytest.raises(StageError, match="shard 0 of 4 of 'highest' failed 3 times: no such thing"):
        prepare("nnn", gallery_of(), engine=Fails(), shard_size=40)


def test_a_run_in_shards_is_prepared_in_shards(tmp_path: Path):
    problem = Problem.from_embeddings(QUERIES, ITEMS, query_bank=OLD)
    engine = Here()
    found = rerankit.rerank(problem, "nnn", k=5, engine=engine, out=tmp_path / "run", shard_size=50)
    assert engine.done == 4  # three of the gallery, one of the queries
    assert found == rerankit.rerank(problem, "nnn", k=5)
    assert not (tmp_path / "run" / "preparing").exists()


def test_the_command(tmp_path: Path):
    rerankit.write(tmp_path / "items.npy", ITEMS)
    rerankit.write(tmp_path / "old.npy", OLD)
    words = ["prepare", "--vectors", tmp_path / "items.npy", "--bank", tmp_path / "old.npy", "--stage", "csls"]
    how = ["--engine", "local", "--engine-set", "workers=1", "--shard-size", 40, "--parts", tmp_path / "parts"]
    done = CliRunner().invoke(build(), [*map(str, words), *map(str, how), "--out", str(tmp_path / "ready")])
    assert done.exit_code == 0, done.output
    expected = prepare("csls", gallery_of()).rerank(QUERIES, k=5)
    loaded = rerankit.load(tmp_path / "ready")
    assert isinstance(loaded, Ready)
    assert loaded.rerank(QUERIES, k=5) == expected
    assert len(list((tmp_path / "parts").rglob("*.safetensors"))) == 4
    refused = CliRunner().invoke(build(), [*map(str, words), "--shard-size", "3", "--out", str(tmp_path / "other")])
    assert refused.exit_code == 2
    assert "--shard-size goes with --engine NAME" in refused.output


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_one_that_is_killed_goes_on(tmp_path: Path):
    np.save(tmp_path / "items.npy", ITEMS)
    np.save(tmp_path / "old.npy", OLD)
    program = (
        "import os, signal, sys\n"
        "import numpy as np, rerankit\n"
        "from rerankit.engines import Done, Engine\n"
        "class Dies(Engine):\n"
        "    name = 'dies'\n"
        "    def run(self, work, tasks, *, shared, retries):\n"
        "        for task in tasks:\n"
        "            if task == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "            work(task)\n"
        "            yield Done(task)\n"
        "gallery = rerankit.Gallery(np.load('items.npy'), bank=np.load('old.npy'))\n"
        "rerankit.prepare('nnn', gallery, engine=Dies(), parts='parts', shard_size=30)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=os.environ)
    assert killed.returncode == -signal.SIGKILL
    rest = Here()
    found = prepare("nnn", gallery_of(), engine=rest, parts=tmp_path / "parts", shard_size=30)
    assert rest.done == 2
    assert bits(found.prepared.state()) == bits(prepare("nnn", gallery_of()).prepared.state())
    assert not list(tmp_path.rglob(".rerankit-*"))
