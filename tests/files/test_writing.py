"""Whole files and folders or none, in one step, for readers and after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Problem, errors, files
from rerankit.errors import FormatError
from rerankit.files import Scratch, clear_leftovers, scratch, switching, unchanged
from rerankit.files.locks import lock_folder


def test_atomic_files_keep_the_old_one_when_writing_fails(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), files.atomic(target) as temporary:
        temporary.with_name("elsewhere").write_text("half")  # and nothing at the path itself
    assert target.read_text() == "old"
    with files.atomic(target) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


def test_a_folder_is_lost_neither_to_a_file_nor_to_nothing(tmp_path):
    (tmp_path / "run.npz").mkdir()
    (tmp_path / "run.npz" / "notes.txt").write_text("mine")
    with (
        pytest.raises(FormatError, match="cannot be written: Is a directory"),
        files.atomic(tmp_path / "run.npz") as temporary,
    ):
        temporary.write_text("a file")
    with pytest.raises(FileNotFoundError, match=r"run\.npz"), files.atomic(tmp_path / "run.npz"):
        pass
    with pytest.raises(errors.InputError, match="which rerankit did not write"):
        rerankit.write(tmp_path / "run.npz", rerankit.Problem([[1.0]]), overwrite=True)
    assert (tmp_path / "run.npz" / "notes.txt").read_text() == "mine"


def test_atomic_folders_replace_the_old_one(tmp_path):
    for text in ("one", "two"):
        with files.atomic(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / text).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.fixture(params=["in one step", "by stepping aside"])
def way(request, monkeypatch):
    """Both ways to put a folder in the place of another: what the system can, and what any system can."""
    if request.param == "by stepping aside":
        monkeypatch.setattr(switching, "exchange", lambda one, other: False)
    elif not _exchanges():
        pytest.skip("this system cannot exchange two folders")
    return request.param


def _exchanges():
    with tempfile.TemporaryDirectory() as folder:
        for name in "ab":
            (Path(folder) / name).mkdir()
        return switching.exchange(Path(folder) / "a", Path(folder) / "b")


def test_folders_are_exchanged(tmp_path, way):
    for text in ("one", "two", "three"):
        with files.atomic(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / text).touch()
        assert [path.name for path in tmp_path.rglob("*")] == ["folder", text]


def test_a_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr(switching, "exchange", lambda one, other: False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    moved, calls = os.rename, []

    def rename(source, target):
        calls.append(source)
        if len(calls) == 3:  # the first meets the old folder, the second moves that aside
            raise PermissionError("no")
        moved(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(FormatError, match="cannot be written: no"), files.atomic(tmp_path / "folder") as temporary:
        temporary.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]


def put(place, text):
    """A file of a text, or a folder with one."""
    if place.suffix:
        place.write_text(text)
    else:
        place.mkdir()
        (place / "note").write_text(text)


@pytest.mark.parametrize("name", ["run.npz", "folder"])
def test_what_comes_in_the_meantime_is_not_replaced_unasked(tmp_path, name):
    def both_write():
        with files.atomic(tmp_path / name, overwrite=False) as temporary:
            put(temporary, "mine")
            put(tmp_path / name, "theirs")

    with pytest.raises(FormatError, match="another program has written it"):
        both_write()
    kept = tmp_path / name / "note" if name == "folder" else tmp_path / name
    assert kept.read_text() == "theirs"


def test_a_link_at_the_target_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run.txt").symlink_to(tmp_path / "disk" / "run.txt")
    for text in ("one", "two"):
        with files.atomic(tmp_path / "run.txt") as temporary:
            temporary.write_text(text)
        assert (tmp_path / "run.txt").is_symlink()
        assert (tmp_path / "disk" / "run.txt").read_text() == text


def test_all_of_it_is_on_the_disk_before_it_is_switched(tmp_path, monkeypatch):
    done = []
    sync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(os.readlink(f"/proc/self/fd/{fd}")), sync(fd)))
    monkeypatch.setattr(os, "rename", lambda a, b: (done.append("switched"), rename(a, b)))
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not say what a file descriptor is")
    with files.atomic(tmp_path / "folder") as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "a").write_text("a")
        (temporary / "b").write_text("b")
    at = done.index("switched")
    assert {Path(name).name for name in done[:at]} == {"folder", "inner", "a", "b"}
    assert done[at + 1 :] == [str(tmp_path)]
    done.clear()
    with files.atomic(tmp_path / "cached", durable=False) as temporary:
        temporary.write_text("a")
    assert done == []


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path):
    (tmp_path / ".rerankit-dead").mkdir()
    (tmp_path / ".rerankit-dead" / "half.npz").touch()
    (tmp_path / ".rerankit-file").touch()
    with Scratch(tmp_path) as scratch:
        assert not (tmp_path / ".rerankit-dead").exists()
        (scratch.path / "being written").touch()
        clear_leftovers(tmp_path)
        with Scratch(tmp_path):
            pass
        assert (scratch.path / "being written").exists()
        code = (
            "import sys, pathlib; from rerankit.files import clear_leftovers as clear; clear(pathlib.Path(sys.argv[1]))"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert (scratch.path / "being written").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".rerankit-file"]


def test_a_folder_taken_aside_comes_back_or_forward_after_a_kill(tmp_path):
    """What a kill between the two renames leaves: the new folder is whole, and takes the place of the old one."""
    left = tmp_path / ".rerankit-dead"
    rerankit.write(left / scratch.REPLACED, Problem([[1.0]]))
    rerankit.write(left / "folder", Problem([[2.0, 3.0]]))
    assert rerankit.read(tmp_path / "folder").shape == (1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    rerankit.stage("csls").save(left / scratch.REPLACED)
    rerankit.stage("nnn").save(left / "stage")
    assert rerankit.load(tmp_path / "stage") == rerankit.stage("nnn")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "stage"]


def test_a_scratch_folder_that_is_taken_for_a_dead_ones_is_made_again(tmp_path, monkeypatch):
    made, real = [], tempfile.mkdtemp

    def mkdtemp(**options):
        made.append(real(**options))
        if len(made) == 1:
            os.rmdir(made[0])  # another process came between the folder and its lock
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with Scratch(tmp_path) as scratch:
        assert str(scratch.path) == made[1]


def test_locks_end_with_their_owner(tmp_path):
    lock = lock_folder(tmp_path)
    assert lock is not None
    assert lock_folder(tmp_path) is None
    lock.release()
    again = lock_folder(tmp_path)
    assert again is not None
    again.release()
    assert lock_folder(tmp_path / "absent") is None


PROBLEMS = [Problem(np.full((3, 4), float(n)), query_ids=[f"{n}{q}" for q in "abc"]) for n in range(2)]


def write_all(folder, number):
    """One of two problems in several formats, and one of two pipelines."""
    for name in ("folder", "a.npz", "a.safetensors"):
        rerankit.write(folder / name, PROBLEMS[number], overwrite=True)
    pipelines()[number].save(folder / "stage", overwrite=True)


def pipelines():
    made = [[rerankit.stage("csls", neighbours=n), "nnn", rerankit.stage("csls", neighbours=n)] for n in (3, 7)]
    return [rerankit.Pipeline(stages) for stages in made]


def check_whole(folder, name):
    """What is there must be one of the two, not parts of both."""
    if name == "stage":
        assert rerankit.load(folder / name) in pipelines()
    else:
        found = rerankit.read(folder / name)
        assert found.query_ids[0] == f"{int(found.scores.rows()[0, 0])}a"


def test_a_reader_never_sees_half_of_two(tmp_path, way):
    """One thread replaces, others read: each reading is one of the two, whole."""
    stop, faults, reads = threading.Event(), [], []

    def look(name):
        try:
            while not stop.is_set():
                check_whole(tmp_path, name)
                reads.append(name)
        except BaseException as error:
            faults.append((name, error))

    write_all(tmp_path, 0)
    threads = [threading.Thread(target=look, args=(name,)) for name in ("folder", "a.npz", "a.safetensors", "stage")]
    for thread in threads:
        thread.start()
    for turn in range(3):
        write_all(tmp_path, turn % 2)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(set(reads)) == len(threads)


def test_a_folder_that_steps_aside_between_two_looks_is_read_again(tmp_path, monkeypatch):
    folder, aside = tmp_path / "folder", tmp_path / "aside"
    folder.mkdir()
    (folder / "a").write_text("whole")
    moves = [lambda: folder.rename(aside), lambda: aside.rename(folder)]
    monkeypatch.setattr("rerankit.files.stable.wait_for", lambda path: moves.pop(0)() if moves else None)
    assert unchanged(folder, lambda: (folder / "a").read_text()) == "whole"


def test_what_is_mapped_stays_as_it_was(tmp_path):
    """A file in use is replaced, never written into: its map is not cut short."""
    for name in ("folder", "a.npz", "a.safetensors", "a.npy"):
        value = np.ones((200, 300)) if name == "a.npy" else Problem(np.ones((200, 300)))
        rerankit.write(tmp_path / name, value)
        mapped = rerankit.read(tmp_path / name, "problem")
        rerankit.write(tmp_path / name, np.zeros((1, 2)) if name == "a.npy" else Problem([[0.0]]), overwrite=True)
        assert mapped.scores.rows().sum() == 60_000
