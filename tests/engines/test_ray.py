"""The engine of Ray, on a small cluster that is started for each test; skipped where Ray is not installed."""

from __future__ import annotations

import gc
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import rerankit
from engines.engine_work import Dies, DiesOnce, Fails, Note, Slow, done_in
from rerankit.engines import Engine, engine_of
from rerankit.engines.ray import Ray, in_a_worker
from rerankit.errors import InputError, MissingExtraError, RerankitError
from rerankit.runs import status_of

RAY = find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY, reason="not installed: ray")
RANDOM = np.random.default_rng(0)
QUERIES, GALLERY, BANK = (RANDOM.normal(size=(count, 12)).astype(np.float16) for count in (40, 60, 31))
# Ray's own, while it ends: sockets that its threads leave open.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module", autouse=True)
def collected():
    """What Ray leaves open is collected here, where its warnings are let through, and not at the end of all tests."""
    yield
    gc.collect()


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
def test_a_ray_that_is_started_serves_all_runs_of_a_block(tmp_path):
    import ray

    engine = engine_of("ray", {"workers": 2})
    nodes = set()
    with engine.kept():
        assert not ray.is_initialized()  # it is started by the first run
        for turn in range(2):
            (tmp_path / str(turn)).mkdir()
            work = Note(tmp_path / str(turn), np.arange(3.0))
            assert len(list(engine.run(work, range(3), shared=tmp_path / "shared", retries=0))) == 3
            nodes.add(ray.nodes()[0]["NodeID"])
    assert len(nodes) == 1
    assert not ray.is_initialized()


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_store_that_spills_to_a_full_disk_is_told_and_nothing_is_lost(tmp_path):
    import ray

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can be made by the system's administrator alone")
    how = {"k": 7, "engine": Ray(), "out": tmp_path / "run", "shard_size": 2}
    expected, made = rerankit.rerank(problem(tmp_path), Slow(0), k=7), Slow(0.01)
    store = {"object_store_memory": 80_000_000, "object_spilling_directory": str(small)}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, **store)
    try:
        held = [ray.put(np.full(2_500_000, float(n))) for n in range(3)]  # others' objects, 20 MB each
        with pytest.raises(ray.exceptions.OutOfDiskError):
            held += [ray.put(np.full(2_500_000, float(n))) for n in range(3)]
        assert rerankit.rerank(problem(tmp_path), made, **how) == expected  # shards need no room in it
        for file in sorted((tmp_path / "run" / "shards").iterdir())[:5]:
            file.unlink()
        made.heavy = bytes(30_000_000)
        with pytest.raises(
            InputError, match=r"Ray's object store has no room for the work \(30,...,... bytes\): Local disk"
        ):
            rerankit.rerank(problem(tmp_path), made, resume=True, **how)
        assert status_of(tmp_path / "run").finished == 15
        held.clear()
        assert rerankit.rerank(problem(tmp_path), made, resume=True, **how) == expected
        assert not list((tmp_path / "run").rglob(".rerankit-*"))
    finally:
        ray.shutdown()
        subprocess.run(["umount", "-l", small], check=True)
