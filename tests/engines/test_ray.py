"""The engine of Ray, on a small cluster that is started for each test; skipped where Ray is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import rerankit
from engines.engine_work import Dies, DiesOnce, Fails, Note, Slow, done_in
from rerankit.engines import Engine, engine_of
from rerankit.engines.ray import Ray, in_a_worker
from rerankit.errors import InputError, MissingExtraError, RerankitError
from rerankit.runs import rerank_in_shards

RAY = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY, reason="not installed: ray")
RANDOM = np.random.default_rng(0)
QUERIES, GALLERY, BANK = (RANDOM.normal(size=(count, 12)).astype(np.float16) for count in (40, 60, 31))
# Ray's own, while it ends: sockets that its threads leave open.
pytestmark = pytest.mark.filterwarnings("default")


AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")


def problem(folder: Path) -> rerankit.Problem:
    if not (folder / "gallery.npy").exists():
        np.save(folder / "gallery.npy", GALLERY)
    return rerankit.Problem.from_embeddings(QUERIES, rerankit.read(folder / "gallery.npy"), query_bank=BANK)


def test_repr_and_settings():
    made = engine_of("ray", {"address": "auto", "workers": 2, "memory": "1GB"})
    assert repr(made) == "Ray(address='auto', workers=2, memory=1000000000)"
    with pytest.raises(InputError, match="'address' must be a text"):
        Ray(address=3)
    with pytest.raises(InputError, match="'cpus' must be at least 1"):
        Ray(cpus=0)


@pytest.mark.skipif(RAY, reason="ray is installed")
def test_without_ray_the_error_says_what_to_install(tmp_path):
    with pytest.raises(MissingExtraError, match=r"pip install 'rerankit\[ray\]'"):
        rerankit.rerank(problem(tmp_path), "nnn", k=3, engine="ray")


def test_a_worker_of_another_version_says_so():
    assert "the run is one of 0.0.1" in in_a_worker(("0.0.1", [], [], b""), 0, 1000)


class Sluggish:
    """Ray where its own processes come up late."""

    def __init__(self, late: int) -> None:
        self.late, self.ended = late, 0

    def init(self, **_: object) -> None:
        self.late -= 1
        if self.late >= 0:
            raise Exception("The current node timed out during startup.\nMore of it.")  # as Ray does

    def shutdown(self) -> None:
        self.ended += 1


def test_ray_that_comes_up_late_is_started_again():
    ray = Sluggish(3)
    Ray(workers=2)._connect(ray)
    assert ray.ended == 3
    with pytest.raises(RerankitError, match=r"did not start in 4 tries: The current node timed out during startup\.$"):
        Ray(workers=2)._connect(Sluggish(4))


def run(engine: Engine, work: Note, shared: Path, tasks=range(5)):
    found = list(engine.run(work, list(tasks), shared=shared, retries=2))
    return sorted(found, key=lambda done: done.task)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tasks_are_done_and_retried_as_by_the_local_engine(tmp_path):
    import ray

    Ray(workers=2)._connect(ray)
    try:
        for kind, error in ((Note, None), (DiesOnce, None), (Fails, "ValueError: no such thing"), (Dies, "its worker")):
            out = tmp_path / kind.__name__
            out.mkdir()
            done = run(Ray(), kind(out), tmp_path / "shared")
            assert [one.error for one in done if one.task != 1] == [None] * 4
            assert done[1].error is None if error is None else error in done[1].error
            assert done_in(out) == sorted({0, 1, 2, 3, 4} - ({1} if error else set()))
        assert ray.is_initialized()  # it was not started by the engine
    finally:
        ray.shutdown()


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_shards_on_ray_have_the_bits_of_the_batch(tmp_path):
    for stage in (rerankit.stage("nnn"), rerankit.stage("k-reciprocal") >> "nnn", Slow(0.001)):
        expected = rerankit.rerank(problem(tmp_path), stage, k=7)
        place = tmp_path / type(stage).__name__
        assert (
            rerankit.rerank(problem(tmp_path), stage, k=7, engine=Ray(workers=2), out=place, shard_size=9) == expected
        )


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_that_are_killed_at_random_moments_lose_nothing(tmp_path):
    import threading

    random, ended, killed = np.random.default_rng(1), threading.Event(), []

    def kill() -> None:
        while not ended.wait(float(random.uniform(0.1, 0.6))) and len(killed) < 20:
            found = [pid for pid in below(os.getpid()) if started_with(pid).startswith("ray::in_a_worker")]
            if found:
                killed.append(found[int(random.integers(len(found)))])
                os.kill(killed[-1], signal.SIGKILL)

    expected = rerankit.rerank(problem(tmp_path), Slow(0), k=7)
    thread = threading.Thread(target=kill)
    thread.start()
    try:
        made = rerankit.Pipeline([Slow(0.4)])
        how = {"engine": Ray(workers=2), "shard_size": 1, "retries": 20}
        found = rerank_in_shards(problem(tmp_path), made, 7, out=tmp_path / "run", **how)
    finally:
        ended.set()
        thread.join()
    assert found == expected
    assert len(killed) == 20
    assert not list((tmp_path / "run").rglob(".rerankit-*"))


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_driver_that_is_killed_again_and_again_loses_nothing(tmp_path):
    folder, random = tmp_path, np.random.default_rng(2)
    problem(folder)
    np.savez(folder / "rest.npz", queries=QUERIES, bank=BANK)
    code = (
        "import sys; import numpy as np, rerankit; from engines.engine_work import Slow;"
        "from rerankit.engines.ray import Ray; folder = sys.argv[1];"
        "rest = np.load(folder + '/rest.npz'); gallery = rerankit.read(folder + '/gallery.npy');"
        "problem = rerankit.Problem.from_embeddings(rest['queries'], gallery, query_bank=rest['bank']);"
        "how = {'k': 7, 'out': folder + '/run', 'shard_size': 1, 'resume': True};"
        "rerankit.rerank(problem, Slow(0.15), engine=Ray(workers=2), **how)"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *[path for path in sys.path if path]])
    words = [sys.executable, "-c", code, str(folder)]
    environment = {**os.environ, "PYTHONPATH": path}
    left: set[int] = set()
    for count in range(10):
        driver = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end, wanted = time.monotonic() + 60, 3 * count + int(random.integers(0, 3))
        while driver.poll() is None and time.monotonic() < end and finished(folder / "run") < wanted:
            time.sleep(0.01)
        family = {pid: started_with(pid) for pid in below(driver.pid)}
        left |= set(family)
        driver.kill()
        driver.wait()
        # Two agents of Ray's own look only from time to time whether they are alone.
        ours = [pid for pid, name in family.items() if not name.startswith(AGENTS)]
        wait_until(lambda ours=ours: not any(map(alive, ours)))
    assert 0 < finished(folder / "run") < 40
    assert subprocess.run(words, env=environment, capture_output=True).returncode == 0
    assert rerankit.read(folder / "run") == rerankit.rerank(problem(folder), Slow(0), k=7)
    assert not list((folder / "run").rglob(".rerankit-*"))
    wait_until(lambda: not any(map(alive, left)), 180)


def finished(folder: Path) -> int:
    return len(list((folder / "shards").glob("*.safetensors"))) if folder.exists() else 0


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
