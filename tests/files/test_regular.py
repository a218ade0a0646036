"""Pipes, devices and links are refused before they are opened."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Problem, stage
from rerankit.errors import FormatError, InputError
from rerankit.files import check_inside, files_in

pytestmark = pytest.mark.timeout(20)  # a pipe would be waited for


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.parametrize("ending", [".npz", ".npy", ".safetensors", ".pt", ".csv", ".run.gz", ".json", ".parquet", ""])
def test_a_pipe_does_not_hang(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    if ending:
        os.mkfifo(path)
    else:
        rerankit.write(path, Problem(np.eye(2)))
        (path / "rerankit.json").unlink()
        os.mkfifo(path / "query_scores.npy")
    with pytest.raises(FormatError, match=r"must be a regular file \(got a pipe\)"):
        rerankit.read(path)


@pytest.mark.parametrize("ending", ["npz", "npy", "safetensors", "pt", "csv", "run.gz", "json", "mat"])
def test_a_file_that_may_not_be_read_is_said_to_be_one(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"somebody's")
    path.chmod(0)
    # An administrator, who may run this, may read all.
    monkeypatch.setattr(os, "access", lambda file, _: bool(os.stat(file).st_mode & 0o400))
    with pytest.raises(FormatError, match=f"a.{ending}: cannot be read: Permission denied$"):
        rerankit.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_a_pipe_in_a_stage_does_not_hang(tmp_path: Path, name: str) -> None:
    stage("csls").save(tmp_path / "stage")
    (tmp_path / "stage" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "stage" / name)
    with pytest.raises(FormatError, match=r"must be a regular file \(got a pipe\)"):
        rerankit.load(tmp_path / "stage")


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    rerankit.write(tmp_path / "folder", {"scores": np.eye(2)})
    np.save(tmp_path / "secret.npy", np.eye(2))
    os.symlink(tmp_path / "secret.npy", tmp_path / "folder" / "query_scores.npy")
    with pytest.raises(FormatError, match="is a link that leads out of it"):
        rerankit.read(tmp_path / "folder")
    stage("csls").save(tmp_path / "stage")
    os.symlink(tmp_path / "secret.npy", tmp_path / "stage" / "weights.safetensors")
    with pytest.raises(FormatError, match="is a link that leads out of it"):
        rerankit.load(tmp_path / "stage")
    shutil.move(tmp_path / "stage" / "config.json", tmp_path / "elsewhere.json")
    os.symlink(tmp_path / "elsewhere.json", tmp_path / "stage" / "config.json")
    with pytest.raises(FormatError, match="is a link that leads out of it"):
        rerankit.load(tmp_path / "stage")


def test_links_within_a_folder_and_to_a_folder_are_followed(tmp_path: Path) -> None:
    rerankit.write(tmp_path / "folder", {"scores": np.eye(2)})
    os.symlink("scores.npy", tmp_path / "folder" / "query_scores.npy")
    os.symlink(tmp_path / "folder", tmp_path / "link")
    assert rerankit.read(tmp_path / "link").query_scores is not None
    assert check_inside(tmp_path / "link" / "scores.npy", tmp_path / "link").is_file()


def test_a_folder_of_many_files_is_not_walked_through(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.jpg").touch()
    with pytest.raises(FormatError, match="must have at most 10 files"):
        list(files_in(tmp_path, 10))
    assert len(list(files_in(tmp_path, 12))) == 12


def test_absent_files_and_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file or folder"):
        rerankit.read(tmp_path / "absent.npz")
    with pytest.raises(InputError):
        rerankit.read(str(tmp_path / "a\0b.npz"))
