"""Runs on engines whose workers, or whose program, are killed at random moments: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import rerankit
from engines.engine_work import Slow, SlowlyPrepared
from rerankit.engines import Local
from rerankit.engines.ray import Ray
from rerankit.runs import rerank_in_shards

WORKERS, DRIVERS = 20, 10  # kills
RANDOM = np.random.default_rng(0)
QUERIES, GALLERY, BANK = (RANDOM.normal(size=(count, 12)).astype(np.float16) for count in (40, 60, 31))
ENGINES = {"local": Local, "ray": Ray}
CALLED = {"local": "rerankit.engines.worker", "ray": "ray::in_a_worker"}
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")  # look only from time to time whether they are alone
SHARDS = 40 + 60  # of queries, and of items

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc"),
    pytest.mark.filterwarnings("default"),  # Ray's own, while it ends: sockets that its threads leave open
]
engines = pytest.mark.parametrize(
    "name",
    ["local", pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="not installed: ray"))],
)


def problem(folder: Path) -> rerankit.Problem:
    if not (folder / "gallery.npy").exists():
        np.save(folder / "gallery.npy", GALLERY)
    return rerankit.Problem.from_embeddings(QUERIES, rerankit.read(folder / "gallery.npy"), query_bank=BANK)


@engines
def test_workers_that_are_killed_at_random_moments_lose_nothing(tmp_path, name):
    random, ended, killed = np.random.default_rng(1), threading.Event(), []

    def kill() -> None:
        while not ended.wait(float(random.uniform(0.1, 0.6))) and len(killed) < WORKERS:
            found = [pid for pid in below(os.getpid()) if CALLED[name] in started_with(pid)]
            if found:
                killed.append(found[int(random.integers(len(found)))])
                os.kill(killed[-1], signal.SIGKILL)

    expected = rerankit.rerank(problem(tmp_path), Slow(0), k=7)
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        made = rerankit.Pipeline([SlowlyPrepared(0.2), Slow(0.4)])
        how = {"engine": ENGINES[name](workers=2), "shard_size": 1, "retries": 20}
        found = rerank_in_shards(problem(tmp_path), made, 7, out=tmp_path / "run", **how)
    finally:
        ended.set()
        thread.join()
    assert found == expected
    assert len(killed) == WORKERS
    assert not list((tmp_path / "run").rglob(".rerankit-*"))
    wait_until(lambda: not any(CALLED[name] in started_with(pid) for pid in below(os.getpid())))


@engines
def test_a_driver_that_is_killed_again_and_again_loses_nothing(tmp_path, name):
    folder, random = tmp_path, np.random.default_rng(2)
    problem(folder)
    np.savez(folder / "rest.npz", queries=QUERIES, bank=BANK)
    code = (
        "import sys; import numpy as np, rerankit; from engines.engine_work import Slow, SlowlyPrepared;"
        "from rerankit.engines import Local; from rerankit.engines.ray import Ray; folder = sys.argv[1];"
        "rest = np.load(folder + '/rest.npz'); gallery = rerankit.read(folder + '/gallery.npy');"
        "problem = rerankit.Problem.from_embeddings(rest['queries'], gallery, query_bank=rest['bank']);"
        "how = {'k': 7, 'out': folder + '/run', 'shard_size': 1, 'resume': True};"
        "made = rerankit.Pipeline([SlowlyPrepared(0.1), Slow(0.15)]);"
        f"rerankit.rerank(problem, made, engine={ENGINES[name].__name__}(workers=2), **how)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *[path for path in sys.path if path]])
    words = [sys.executable, "-c", code, str(folder)]
    environment = {**os.environ, "PYTHONPATH": path}
    left: set[int] = set()
    kept: dict[Path, int] = {}
    for count in range(DRIVERS):
        with (folder / "said.txt").open("w") as said:
            driver = subprocess.Popen(words, env=environment, stdout=said, stderr=said)
        end, wanted = time.monotonic() + 240, SHARDS * count // (DRIVERS + 2) + int(random.integers(0, 5))
        while driver.poll() is None and time.monotonic() < end and finished(folder / "run") < wanted:
            time.sleep(0.01)
        family = {pid: started_with(pid) for pid in below(driver.pid)}
        left |= set(family)
        driver.kill()
        driver.wait()
        assert driver.returncode == -signal.SIGKILL, (folder / "said.txt").read_text()
        ours = [pid for pid, called in family.items() if not called.startswith(AGENTS)]
        wait_until(lambda ours=ours: not any(map(alive, ours)))
        assert all(times(folder / "run").get(file, written) == written for file, written in kept.items())
        kept |= times(folder / "run")
    assert 0 < len(list((folder / "run" / "shards").glob("*.safetensors"))) < 40
    assert subprocess.run(words, env=environment, capture_output=True).returncode == 0
    assert rerankit.read(folder / "run") == rerankit.rerank(problem(folder), Slow(0), k=7)
    assert all(times(folder / "run").get(file, written) == written for file, written in kept.items())
    assert not list((folder / "run").rglob(".rerankit-*"))
    wait_until(lambda: not any(map(alive, left)))


def finished(folder: Path) -> int:
    """How many shards there are: those of the items are gone when all are there."""
    prepared = 60 if (folder / "prepared").is_dir() else 0
    return max(prepared, len(list(folder.glob("preparing/*/*.safetensors")))) + len(
        list(folder.glob("shards/*.safetensors"))
    )


def times(folder: Path) -> dict[Path, int]:
    """When finished shards were written, by file."""
    return {file: file.stat().st_mtime_ns for file in folder.glob("shards/*.safetensors")}


def below(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    parents = {}
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                parents[int(each)] = int(Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found, fresh = [], [pid]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh]
        found += fresh
    return found


def started_with(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.1)
