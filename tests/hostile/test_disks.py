"""Disks that are full or cannot be written, and processes that write to one place at once."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Problem
from rerankit.errors import FormatError, InputError, RerankitError
from rerankit.files import atomic
from rerankit.formats.pt import write_checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process")

BUNDLES = ["folder", "a.npz", "a.safetensors", "a.pt", "a.npy", "a.run", "a.run.gz", "a.csv", "a.json", "a.parquet"]
BUNDLES.append("stage")
ROOM = 20_000


def content(name: str, size: int):
    """Something to write under a name; larger with a larger size."""
    scores = np.random.default_rng(size).random((size, 40), dtype=np.float32)
    if name in ("folder", "a.npz", "a.safetensors", "a.pt"):
        return Problem(scores, query_ids=[f"q{n}" for n in range(size)])
    return scores if name == "a.npy" else Problem(scores).ranking(40)


def write(folder: Path, name: str, size: int) -> None:
    if name == "stage":
        bank = content("a.npy", size)
        rerankit.stage("mutual-rank", bank=bank).save(folder / name, overwrite=True)
    else:
        rerankit.write(folder / name, content(name, size), overwrite=True)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def in_a_copy(work) -> str:
    """What a copy of this process, whose files must stay small, says of its work."""
    import resource

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the copy
        os.close(reading)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
        try:
            work()
            said = "done"
        except RerankitError as error:
            said = f"refused: {error}"
        except BaseException as error:
            said = f"raw {type(error).__name__}: {error}"
        os.write(writing, said.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", BUNDLES)
def test_a_full_disk_is_one_error_and_the_old_file_stays(name: str, tmp_path: Path, tried) -> None:
    for module in {"a.pt": ["torch"], "a.parquet": ["pyarrow"]}.get(name, []):
        pytest.importorskip(module, reason=f"{module} is not installed")
    write(tmp_path, name, 4)
    before = snapshot(tmp_path)
    said = in_a_copy(lambda: write(tmp_path, name, 800))
    assert said.startswith("refused: "), said
    assert "cannot be written" in said
    assert "\n" not in said
    assert snapshot(tmp_path) == before
    tried("full disks", 1)


def prepared(folder: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 16))
    rerankit.prepare("nnn", rerankit.Gallery(vectors, bank=vectors[:50])).save(folder / "ready")


def shards(folder: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(900, 16))
    rerankit.rerank(Problem.from_embeddings(vectors, vectors), "fuse", k=50, out=folder / "run", shard_size=600)


def checkpoint(folder: Path) -> None:
    write_checkpoint(folder / "c.pt", {"weight": np.zeros(20_000)})


def any_file(folder: Path) -> None:
    """What is written by nothing but the one writer: pictures, pages, results, training histories."""
    with atomic(folder / "page.html") as temporary:
        temporary.write_text("x" * 50_000)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("work", [prepared, shards, checkpoint, any_file])
def test_whatever_meets_a_full_disk_says_so_in_one_line(work, tmp_path: Path, tried) -> None:
    if work is checkpoint:
        pytest.importorskip("torch", reason="torch is not installed")
    said = in_a_copy(lambda: work(tmp_path))
    assert said.startswith("refused: "), said
    assert "cannot be written: File too large" in said or "bytes are free)" in said, said
    assert "\n" not in said
    assert [path.name for path in tmp_path.rglob(".rerankit-*")] == []
    tried("full disks", 1)


def test_a_file_that_is_missing_elsewhere_is_not_the_disk_s_fault(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "place").mkdir()
    with pytest.raises(IsADirectoryError), atomic(tmp_path / "place" / "a.txt"):
        (tmp_path / "elsewhere").read_text()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_full_disk_ends_no_work_that_only_wanted_to_keep_things(tmp_path: Path, tried) -> None:
    from rerankit.errors import RerankitWarning
    from rerankit.feature_cache import FeatureCache

    cache = FeatureCache(tmp_path / "cache", "m")

    def keep() -> None:
        with pytest.warns(RerankitWarning, match="cannot be written: .*: features are no longer kept there"):
            cache.put("ab", np.zeros((100, 400), np.float16))
        cache.put("ab", np.zeros((100, 400), np.float16))

    assert in_a_copy(keep) == "done"
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []
    tried("full disks", 1)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_place_that_cannot_be_written_is_one_error(name: str, tmp_path: Path) -> None:
    """A file in the place of a folder; permissions are no hindrance to an administrator, who may run this."""
    for module in {"a.pt": ["torch"], "a.parquet": ["pyarrow"]}.get(name, []):
        pytest.importorskip(module, reason=f"{module} is not installed")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"cannot be written"):
        write(tmp_path / "file", name, 4)
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(InputError, match=r"cannot be written.*Permission denied"):
            write(tmp_path / "closed", name, 4)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", [*BUNDLES, "run"])
def test_folders_that_cannot_be_made_are_one_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in {"a.pt": ["torch"], "a.parquet": ["pyarrow"]}.get(name, []):
        pytest.importorskip(module, reason=f"{module} is not installed")
    make = os.mkdir

    def closed(path, *rest, **more) -> None:
        if Path(path).parent == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        make(path, *rest, **more)

    monkeypatch.setattr(os, "mkdir", closed)
    deep = tmp_path / "closed" / "deep"
    work = (lambda: write(deep, name, 4)) if name != "run" else lambda: rerankit.rerank(np.eye(3), "fuse", out=deep)
    with pytest.raises(FormatError, match=r"cannot be written: Permission denied$"):
        work()


def test_a_read_only_disk_is_told_before_the_work(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not Path("/proc/self/mounts").exists():
        pytest.skip("only an administrator can make a disk read-only")
    place = tmp_path / "disk"
    place.mkdir()
    rerankit.write(tmp_path / "problem.npz", Problem(np.eye(3)))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(place)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        words = ["rerank", str(tmp_path / "problem.npz"), "-s", "csls", "-o", str(place / "run.npz")]
        done = subprocess.run([sys.executable, "-m", "rerankit", *words], capture_output=True, text=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert "Read-only file system" in done.stderr


WRITER = """
import sys, numpy as np, rerankit
from rerankit import Problem
from rerankit.files import switching
place, number, turns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if sys.argv[4:] == ["stepping aside"]:
    switching.exchange = lambda one, other: False
for turn in range(turns):
    problem = Problem(np.full((4, 5), float(number)), query_ids=[f"{number}{n}" for n in range(4)])
    rerankit.write(f"{place}/folder", problem, overwrite=True)
    rerankit.write(f"{place}/a.npz", problem, overwrite=True)
    rerankit.stage("csls", neighbours=number + 1).save(f"{place}/stage", overwrite=True)
    found = rerankit.read(f"{place}/folder")
    assert found.query_ids[0] == f"{int(found.scores.rows()[0, 0])}0"
    rerankit.load(f"{place}/stage")
"""


def test_several_writers_of_one_place(tmp_path: Path, amount, tried) -> None:
    turns = amount(5, 200)
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(n), str(turns)], stderr=subprocess.PIPE) for n in range(amount(2, 4))]
    errors = [writer.communicate()[1].decode() for writer in writers]
    assert errors == [""] * len(writers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "folder", "stage"]
    tried("writes by several processes at once", 3 * turns * len(writers))


@pytest.mark.parametrize("how", ["exchanged", "stepping aside"])
def test_writers_that_are_killed_hinder_no_other(how: str, tmp_path: Path, amount, rng, tried) -> None:
    if not amount(how == "exchanged", 1):
        pytest.skip("make test-hostile has both")
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    living = subprocess.Popen([*command, "0", "1000000", how], stderr=subprocess.PIPE)
    kills = amount(2, 20)
    for _ in range(kills):
        other = subprocess.Popen([*command, "1", "1000000", how])
        deadline = time.monotonic() + 60
        while not (tmp_path / "stage").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(float(rng.uniform(0.5, 2)))
        assert other.poll() is None
        other.kill()
        other.wait()
    assert living.poll() is None, living.communicate()[1].decode()
    living.kill()
    living.communicate()
    done = subprocess.run([*command, "2", "1", how], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "folder", "stage"]
    tried("kills of one of two writers", kills)


CACHE = """
import sys, warnings, numpy as np
warnings.simplefilter("error")
from rerankit.feature_cache import FeatureCache
cache, rng = FeatureCache(sys.argv[1], "m", max_bytes=int(sys.argv[2])), np.random.default_rng(int(sys.argv[3]))
for _ in range(int(sys.argv[4])):
    number = int(rng.integers(60))
    found = cache.get(f"{number:04d}")
    assert found is None or (found == number).all()
    if found is None:
        cache.put(f"{number:04d}", np.full((8, 16), number, np.float16))
"""


def test_four_processes_share_a_bounded_cache(tmp_path: Path, amount, tried) -> None:
    turns, bound = amount(60, 2000), 10_000
    command = [sys.executable, "-c", CACHE, str(tmp_path), str(bound)]
    users = [subprocess.Popen([*command, str(n), str(turns)], stderr=subprocess.PIPE) for n in range(4)]
    errors = [user.communicate()[1].decode() for user in users]
    assert errors == [""] * 4
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert size <= bound * 1.25
    assert not list(tmp_path.rglob(".rerankit-*"))
    tried("uses of a cache by four processes", 4 * turns)
