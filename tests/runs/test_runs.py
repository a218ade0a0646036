"""Runs in shards: the answer of the batch, files that are whole, runs that go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Problem, Stage
from rerankit.cli import build
from rerankit.engines import Engine, Local
from rerankit.engines.engine import Done
from rerankit.errors import FormatError, InputError, StageError, UnmetNeedError
from rerankit.files import lock_folder
from rerankit.formats.run_shards import read_plan, shard_file
from rerankit.runs import runs_in, status_of
from rerankit.runs.run import Answer

RANDOM = np.random.default_rng(0)
QUERIES, GALLERY, BANK = (RANDOM.normal(size=(count, 12)).astype(np.float16) for count in (23, 60, 31))
PIPELINE = rerankit.stage("nnn") >> "k-reciprocal"


def make(**changes) -> Problem:
    given = {"query_bank": BANK, "query_ids": [f"q{n}" for n in range(23)], "gallery_ids": [f"i{n}" for n in range(60)]}
    return Problem.from_embeddings(QUERIES, GALLERY, **(given | changes))


class Stops(Engine):
    """Prepares, answers a few shards, and is interrupted."""

    name = "stops"

    def __init__(self, after: int) -> None:
        self.after = after

    def run(self, work, tasks, *, shared, retries):
        for count, task in enumerate(tasks):
            if count == self.after and isinstance(work, Answer):
                raise KeyboardInterrupt
            work(task)
            yield Done(task)


class Fragile(Stage):
    """Fails on one query."""

    name = "fragile"

    def rescore(self, problem, ranking):
        if "q17" in problem.query_ids.tolist():
            raise ValueError("cannot read q17")
        return ranking.scores


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_in_shards_has_the_bits_of_the_batch(tmp_path, workers):
    expected = rerankit.rerank(make(), PIPELINE, k=9)
    got = rerankit.rerank(make(), PIPELINE, k=9, engine=Local(workers), out=tmp_path / "run", shard_size=5)
    assert got == expected == rerankit.read(tmp_path / "run") == rerankit.read(tmp_path / "run", "ranking")
    assert got.query_ids.tolist()[:2] == ["q0", "q1"]
    assert got.notes["stages"] == [repr(one) for one in PIPELINE]
    assert len(list((tmp_path / "run" / "shards").iterdir())) == 5
    assert not list(tmp_path.rglob(".rerankit-*"))


def test_without_a_folder_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert rerankit.rerank(make(), "nnn", k=4, engine="local") == rerankit.rerank(make(), "nnn", k=4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_that_was_stopped_goes_on_with_what_is_missing(tmp_path, after):
    how = {"k": 9, "out": tmp_path / "run", "shard_size": 5}
    with pytest.raises(KeyboardInterrupt):
        rerankit.rerank(make(), PIPELINE, engine=Stops(after), **how)
    finished = {file: file.stat().st_mtime_ns for file in (tmp_path / "run" / "shards").iterdir()}
    assert len(finished) == after
    [status] = runs_in(tmp_path)
    assert (status.state, status.finished, status.failed) == ("stopped", after, {})
    assert status.missing == tuple(range(after, 5))
    with pytest.raises(FormatError, match=f"the run is not finished: {5 - after} of 5 shards are missing"):
        rerankit.read(tmp_path / "run")
    with pytest.raises(InputError, match="holds a run, which resume=True goes on with"):
        rerankit.rerank(make(), PIPELINE, **how)
    assert rerankit.rerank(make(), PIPELINE, resume=True, **how) == rerankit.rerank(make(), PIPELINE, k=9)
    assert all(file.stat().st_mtime_ns == finished[file] for file in finished)
    assert status_of(tmp_path / "run").state == "finished"
    assert rerankit.rerank(make(), PIPELINE, resume=True, **how) == rerankit.rerank(make(), PIPELINE, k=9)


def test_a_run_goes_on_only_as_what_it_was(tmp_path):
    how = {"k": 5, "out": tmp_path / "run", "shard_size": 8}
    rerankit.rerank(make(), "nnn", **how)
    other = GALLERY.copy()
    other[-1, -1] += 1
    for text, problem, stage, more in (
        ("other data", make(query_bank=BANK[:-1]), "nnn", {}),
        ("other data", Problem.from_embeddings(QUERIES, other, query_bank=BANK), "nnn", {}),
        ("other data", make(query_ids=[f"x{n}" for n in range(23)]), "nnn", {}),
        ("another pipeline", make(), rerankit.stage("nnn", neighbours=3), {}),
        ("another k", make(), "nnn", {"k": 6}),
        ("another shard_size", make(), "nnn", {"shard_size": 9}),
        ("another number of queries and other data", make().subset(queries=[0, 1]), "nnn", {}),
    ):
        with pytest.raises(InputError, match=f"holds a run of {text}"):
            rerankit.rerank(problem, stage, resume=True, **(how | more))
    plan = tmp_path / "run" / "run.json"
    plan.write_text(plan.read_text().replace(rerankit.__version__, "0.0.9"))
    with pytest.raises(InputError, match="another version of rerankit"):
        rerankit.rerank(make(), "nnn", resume=True, **how)


def test_shards_of_one_array_and_of_many_are_the_same_data(tmp_path):
    (tmp_path / "v").mkdir()
    for number, rows in enumerate(np.array_split(GALLERY, 4)):
        np.save(tmp_path / "v" / f"v_{number}.npy", rows)
    how = {"k": 5, "out": tmp_path / "run", "shard_size": 8}
    with pytest.raises(KeyboardInterrupt):
        rerankit.rerank(Problem.from_embeddings(QUERIES, GALLERY, query_bank=BANK), "nnn", engine=Stops(1), **how)
    shards = Problem.from_embeddings(QUERIES, rerankit.read(tmp_path / "v"), query_bank=BANK)
    assert rerankit.rerank(shards, "nnn", resume=True, **how) == rerankit.rerank(shards, "nnn", k=5)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:-9] + b"\1" * 9, lambda data: b""])
def test_a_damaged_shard_is_worked_on_again(tmp_path, damage):
    how = {"k": 5, "out": tmp_path / "run", "shard_size": 8}
    expected = rerankit.rerank(make(), "nnn", **how)
    file = shard_file(tmp_path / "run", 1)
    file.write_bytes(damage(file.read_bytes()))
    assert rerankit.rerank(make(), "nnn", resume=True, **how) == expected


@pytest.mark.parametrize("workers", [1, 2])
def test_the_shard_that_fails_is_named_and_finished_ones_stay(tmp_path, workers):
    how = {"k": 5, "out": tmp_path / "run", "shard_size": 5, "engine": Local(workers)}
    with pytest.raises(StageError, match=r"shard 3 of '.*run' failed: .*cannot read q17.* of 5 shards are finished"):
        rerankit.rerank(make(), Fragile(), **how)
    [status] = runs_in(tmp_path)
    assert status.state == "failed"
    assert "cannot read q17" in status.failed[3]
    assert status.finished >= (3 if workers == 1 else 0)
    assert not list(tmp_path.rglob(".rerankit-*"))


def test_two_runs_on_one_folder_refuse_each_other(tmp_path):
    (tmp_path / "run").mkdir()
    lock = lock_folder(tmp_path / "run")
    with pytest.raises(InputError, match="is in use by another run"):
        rerankit.rerank(make(), "nnn", out=tmp_path / "run")
    lock.release()
    assert len(rerankit.rerank(make(), "nnn", out=tmp_path / "run")) == 23


def test_what_cannot_be_cut_is_refused_before_any_work(tmp_path):
    text = r"(?s)'inverted-softmax' looks at the other test queries.*give the problem a query_bank"
    with pytest.raises(UnmetNeedError, match=text):
        rerankit.rerank(make(query_bank=None), "inverted-softmax", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"must be a new or empty folder \(it has 'mine.txt'\)"):
        rerankit.rerank(make(), "nnn", out=tmp_path / "full")
    for name, file in (("given", "thesis.txt"), ("shards", "00000.safetensors")):
        mine = tmp_path / f"with {name}" / name / file
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        with pytest.raises(InputError, match=rf"must be a new or empty folder \(it has '{name}'\)"):
            rerankit.rerank(make(), "nnn", out=tmp_path / f"with {name}")
        assert mine.read_text() == "mine"
    with pytest.raises(InputError, match="'resume' and 'shard_size' belong to a run in shards"):
        rerankit.rerank(make(), "nnn", resume=True)
    with pytest.raises(InputError, match="'shard_size' must be at least 1"):
        rerankit.rerank(make(), "nnn", out=tmp_path / "x", shard_size=0)


def test_items_left_out_stay_out(tmp_path):
    problem = make(exclude=[[row] for row in range(23)])
    got = rerankit.rerank(problem, "nnn", k=58, out=tmp_path / "run", shard_size=7)
    assert got == rerankit.rerank(problem, "nnn", k=58)
    assert rerankit.read(tmp_path / "run").excluded == problem.excluded


def test_progress_counts_shards(tmp_path):
    seen = []

    class Watch:
        @rerankit.hookimpl
        def rerankit_progress(self, event):
            if event.description.startswith("shards of"):
                seen.append((event.completed, event.total))

    rerankit.plugins.manager().register(Watch(), "watch")
    try:
        rerankit.rerank(make(), "nnn", k=3, out=tmp_path / "run", shard_size=8)
    finally:
        rerankit.plugins.manager().unregister("watch")
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


def command(*words) -> tuple[int, str]:
    result = CliRunner().invoke(build(), [str(word) for word in words])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_commands(tmp_path):
    rerankit.write(tmp_path / "p", make())
    words = ["rerank", tmp_path / "p", "-o", tmp_path / "runs" / "one", "-s", "nnn", "-k", 5]
    code, text = command(*words, "--engine", "local", "--shard-size", 10)
    assert (code, "finished" in text) == (0, True)
    shard_file(tmp_path / "runs" / "one", 2).unlink()
    code, text = command("runs", tmp_path / "runs")
    assert "one, missing shards: 2" in text
    assert (code, "stopped" in text, "--resume goes on with it" in text) == (0, True, True)
    assert command(*words, "--engine", "local", "--shard-size", 10)[0] == 2
    assert command(*words, "--engine", "local", "--shard-size", 10, "--resume")[0] == 0
    assert rerankit.read(tmp_path / "runs" / "one") == rerankit.rerank(make(), "nnn", k=5)
    assert command("convert", tmp_path / "runs" / "one", tmp_path / "one.run", "--as", "ranking")[0] == 0
    for more in (["--resume"], ["--engine", "local", "--force"], ["--engine", "local", "--engine-set", "workers=0"]):
        code, text = command(*words, *more)
        assert (code, "error:" in text) == (2, True)
    assert command("runs", tmp_path)[0] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path, workers):
    problem, random = tmp_path / "p", np.random.default_rng(workers)
    rerankit.write(problem, make())
    words = [
        sys.executable,
        "-m",
        "rerankit",
        "rerank",
        problem,
        "-o",
        tmp_path / "run",
        "-s",
        "k-reciprocal",
        "-k",
        "9",
    ]
    words += ["--engine", "local", "--engine-set", f"workers={workers}", "--shard-size", "1", "--resume"]
    for _ in range(10):
        driver = subprocess.Popen(list(map(str, words)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        at = random.integers(0, 23)
        while driver.poll() is None and time.monotonic() < end and status_count(tmp_path / "run") < at:
            time.sleep(0.002)
        time.sleep(float(random.uniform(0, 0.05)))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert subprocess.run(list(map(str, words)), capture_output=True).returncode == 0
    assert rerankit.read(tmp_path / "run") == rerankit.rerank(rerankit.read(problem), "k-reciprocal", k=9)
    time.sleep(1)
    assert not list((tmp_path / "run").rglob(".rerankit-*"))
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and str(tmp_path) in started_with(pid)]


def status_count(folder: Path) -> int:
    return len(list((folder / "shards").glob("*.safetensors"))) if folder.exists() else 0


def started_with(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_the_plan_of_a_run_is_checked(tmp_path):
    rerankit.rerank(make(), "nnn", k=3, out=tmp_path / "run", shard_size=8)
    (tmp_path / "run" / "run.json").write_text('{"kind": "run in shards"}')
    with pytest.raises(FormatError, match="is no plan of a run"):
        read_plan(tmp_path / "run")


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_without_room_is_told_with_the_shard_and_finished_ones_stay(tmp_path, workers):
    random = np.random.default_rng(0)
    problem = Problem.from_embeddings(random.normal(size=(450, 8)), random.normal(size=(70, 8)))
    rerankit.write(tmp_path / "p.npz", problem)
    words = ["rerank", tmp_path / "p.npz", "-o", tmp_path / "run", "-s", "alpha-qe", "-k", 70, "--resume"]
    words += ["--engine", "local", "--engine-set", f"workers={workers}", "--shard-size", 400]
    text = " ".join(map(str, [sys.executable, "-m", "rerankit", *words]))
    done = subprocess.run(["bash", "-c", f"trap '' XFSZ; ulimit -f 200; {text}"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "shard 0 of" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert status_of(tmp_path / "run").state == "failed"
    assert command(*words)[0] == 0
    assert rerankit.read(tmp_path / "run") == rerankit.rerank(rerankit.read(tmp_path / "p.npz"), "alpha-qe", k=70)


def test_lists_that_lose_items_are_as_wide_in_shards_as_in_one_go():
    """The first query loses one of its three items, the second has two: the widest answer has two places."""
    problem = Problem.from_rankings([[2, 0, 1], [1, 2, -1]], [[3, 2, 1], [3, 2, -np.inf]], 3, exclude=[[0], []])
    whole = rerankit.rerank(problem, "fuse", k=3)
    assert whole.shape == (2, 2)
    assert rerankit.rerank(problem, "fuse", k=3, engine=Local(workers=1), shard_size=1) == whole
