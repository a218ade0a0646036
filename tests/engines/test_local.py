"""The local engine: tasks in this process or in workers, retried when a worker dies."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engines.engine_work import Dies, DiesOnce, Fails, Note, done_in
from rerankit.engines import Done, Local, engine_of, worker
from rerankit.engines.sharing import dumps, loads
from rerankit.errors import InputError, UnknownNameError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


class Stumbles(Note):
    """The disk is away for a moment."""

    def __call__(self, task: int) -> None:
        if not (self.folder / f"tried{task}").exists():
            (self.folder / f"tried{task}").touch()
            raise OSError(5, "Input/output error")
        super().__call__(task)


class Full(Note):
    def __call__(self, task: int) -> None:
        raise OSError(28, "No space left on device")


def run(work, tmp_path, workers, tasks=range(5), retries=2):
    found = list(Local(workers=workers).run(work, list(tasks), shared=tmp_path / "shared", retries=retries))
    return sorted(found, key=lambda done: done.task)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_repr_and_names():
    assert repr(engine_of("local", {"workers": 2})) == "Local(workers=2)"
    assert repr(engine_of(None)) == "Local(workers=1)"
    with pytest.raises(UnknownNameError, match="unknown engine 'locl'; did you mean 'local'"):
        engine_of("locl")
    with pytest.raises(InputError, match=r"'workers' must be at least 1 \(got 0\)"):
        engine_of("local", {"workers": 0})
    with pytest.raises(InputError, match="its parameters: workers"):
        engine_of("local", {"threads": 2})
    with pytest.raises(InputError, match="'engine' must be a name or"):
        engine_of(3)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once(tmp_path, out, workers):
    array = np.arange(50_000.0)
    done = run(Note(out, array), tmp_path, workers)
    assert [(one.task, one.error, one.tries) for one in done] == [(task, None, 1) for task in range(5)]
    assert done_in(out) == [0, 1, 2, 3, 4]
    assert {file.read_text() for file in out.glob("[0-9]*-*")} == {str(array.sum())}
    assert (os.getpid() in {int(file.name.split("-")[1]) for file in out.glob("[0-9]*-*")}) == (workers == 1)


@posix
def test_the_task_of_a_worker_that_dies_is_tried_again(tmp_path, out):
    done = run(DiesOnce(out), tmp_path, 2)
    assert [one.error for one in done] == [None] * 5
    assert [one.tries for one in done] == [1, 1, 2, 1, 1]
    assert done_in(out) == [0, 1, 2, 3, 4]


@posix
def test_a_task_that_ends_its_worker_each_time_fails_and_the_others_are_done(tmp_path, out):
    done = run(Dies(out), tmp_path, 2)
    assert done[1] == Done(1, 0.0, "its worker ended with code 7", 3)
    assert done_in(out) == [0, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_is_told_and_not_tried_again(tmp_path, out, workers):
    done = run(Fails(out), tmp_path, workers, range(3))
    assert (done[1].error, done[1].tries) == ("ValueError: no such thing", 1)
    assert done_in(out) == [0, 2]


def test_an_accident_of_the_system_is_tried_again_and_a_full_disk_is_not(tmp_path, out):
    assert [(one.error, one.tries) for one in run(Stumbles(out), tmp_path, 1, range(2))] == [(None, 2)] * 2
    [full] = run(Full(out), tmp_path, 1, range(1))
    assert full.tries == 1
    assert "No space left on device" in full.error


@posix
def test_workers_end_when_the_iterator_is_closed(tmp_path, out):
    found = Local(workers=2).run(Slow(out), [0, 1, 2, 3], shared=tmp_path / "shared", retries=0)
    next(found)
    start = time.monotonic()
    found.close()
    assert time.monotonic() - start < 10
    assert not [pid for pid in pids(out) if alive(pid)]


class Slow(Note):
    def __call__(self, task: int) -> None:
        super().__call__(task)
        time.sleep(0.1 if task == 0 else 60)


def pids(folder: Path) -> set[int]:
    return {int(file.name.split("-")[1]) for file in folder.glob("[0-9]*-*")}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] if Path("/proc").exists() else True
    )


@posix
def test_workers_end_with_the_process_that_started_them(tmp_path, out):
    code = (
        "import sys; sys.path[:0] = sys.argv[3:];"
        "from pathlib import Path; import engines_slow;"
        "from rerankit.engines import Local;"
        "out = Path(sys.argv[1]);"
        "list(Local(workers=2).run(engines_slow.Slow(out), [1, 2], shared=Path(sys.argv[2]), retries=0))"
    )
    (tmp_path / "engines_slow.py").write_text(
        "import os, time\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Slow:\n"
        "    folder: object\n"
        "    def __call__(self, task):\n"
        "        (self.folder / f'{task}-{os.getpid()}').touch()\n"
        "        time.sleep(120)\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, out, tmp_path / "shared", tmp_path])
    wait_until(lambda: len(pids(out)) == 2)
    driver.kill()
    driver.wait()
    wait_until(lambda: not any(alive(pid) for pid in pids(out)))


def wait_until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(worker, "__version__", "0.0.1")
    with pytest.raises(ImportError, match=r"it has rerankit 0\.0\.1, and the run is one of 9"):
        worker.check_version("9")


def test_a_worker_that_cannot_begin_says_why(tmp_path, out):
    sys.modules["gone_later"] = module = type(sys)("gone_later")
    module.Work = type("Work", (Note,), {"__module__": "gone_later"})
    try:
        with pytest.raises(InputError, match=r"a worker cannot begin: ModuleNotFoundError: .*'gone_later'"):
            run(module.Work(out), tmp_path, 2)
    finally:
        del sys.modules["gone_later"]


def test_large_arrays_are_shared_by_files_and_small_values_are_pickled(tmp_path):
    large, turned = (
        np.random.default_rng(0).normal(size=(300, 200)),
        np.asfortranarray(np.arange(90_000.0).reshape(300, 300)),
    )
    np.save(tmp_path / "mapped.npy", large)
    mapped = np.load(tmp_path / "mapped.npy", mmap_mode="r")
    value = {"a": large, "again": large, "f": turned, "small": np.arange(3), "mapped": mapped[10:], "text": "x"}
    data = dumps(value, tmp_path / "shared")
    assert len(data) < 2_000
    assert (tmp_path / "shared" / "arrays.bin").stat().st_size < large.nbytes + turned.nbytes + 200
    found = loads(data)
    assert found["a"] is found["again"]
    assert found["text"] == "x"
    assert found["f"].flags.f_contiguous
    for name in ("a", "f", "small", "mapped"):
        assert np.array_equal(found[name], value[name])
        assert not found[name].flags.writeable or name == "small"
    assert len(pickle.dumps(value)) > 1_000_000


@posix
def test_processes_serve_all_runs_of_a_block_and_end_with_it(tmp_path, out):
    engine, pids = Local(workers=2), set()
    with engine.kept():
        for turn in range(3):
            place = out / str(turn)
            place.mkdir()
            work = DiesOnce(place) if turn == 1 else Note(place, np.arange(50_000.0) + turn)
            done = list(engine.run(work, range(4), shared=tmp_path / f"shared{turn}", retries=2))
            assert [one.error for one in done] == [None] * 4
            assert done_in(place) == [0, 1, 2, 3]
            pids |= {int(file.name.split("-")[1]) for file in place.glob("[0-9]*-*")}
    assert os.getpid() not in pids
    assert len(pids) <= 3  # two, and one in the place of the one that died
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
