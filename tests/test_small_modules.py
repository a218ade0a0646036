"""Settings, checks, files, optional packages, errors: the small modules everything uses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import checks, errors, extras, files, settings


def test_memory_budget_from_environment(monkeypatch):
    assert settings.memory_budget() == 256_000_000
    monkeypatch.setenv("RERANKIT_MEMORY_BUDGET", "1.5 GiB")
    assert settings.memory_budget() == 1_610_612_736
    with settings.using(memory_budget=10):
        assert settings.memory_budget() == 10


@pytest.mark.parametrize("size", ["many", "0MB", -3, "1.2.3MB", "."])
def test_bad_budgets(size):
    with pytest.raises(errors.InputError, match="'memory_budget' must be"):
        settings.parse_bytes(size)


def test_checks():
    assert checks.integer("k", np.int64(3)) == 3
    assert checks.number("x", np.float32(0.5), above=0) == 0.5
    assert checks.choice("m", "a", ["a", "b"]) == "a"
    for bad in (True, 1.5, "3"):
        with pytest.raises(errors.InputError, match="'k' must be a whole number"):
            checks.integer("k", bad)
    for bad in (True, float("nan"), "3"):
        with pytest.raises(errors.InputError, match="'x' must be a finite number"):
            checks.number("x", bad)
    with pytest.raises(errors.InputError, match=r"'x' must be above 0 \(got 0\)"):
        checks.number("x", 0, above=0)
    with pytest.raises(errors.InputError, match=r"'x' must be at most 1 \(got 2\)"):
        checks.number("x", 2, most=1)


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
    with pytest.raises(IsADirectoryError), files.atomic(tmp_path / "run.npz") as temporary:
        temporary.write_text("a file")
    with pytest.raises(OSError, match=r"run\.npz"), files.atomic(tmp_path / "run.npz"):
        pass
    with pytest.raises(errors.InputError, match="which rerankit did not write"):
        rerankit.write(tmp_path / "run.npz", rerankit.Problem([[1.0]]), overwrite=True)
    assert (tmp_path / "run.npz" / "notes.txt").read_text() == "mine"


def test_a_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()
    moved = os.replace

    def replace(source, target):
        if str(target) == str(tmp_path / "folder") and Path(source).name == "folder":
            raise PermissionError("no")
        moved(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(PermissionError), files.atomic(tmp_path / "folder") as temporary:
        temporary.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]


def test_atomic_folders_replace_the_old_one(tmp_path):
    for text in ("one", "two"):
        with files.atomic(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / text).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_missing_package_names_the_install_line(monkeypatch):
    with pytest.raises(errors.MissingExtraError, match=r"drawing needs the package 'nopackage'.*rerankit\[report\]"):
        extras.require("nopackage.part", extra="report", purpose="drawing")


def test_a_broken_package_is_not_called_absent(tmp_path, monkeypatch):
    (tmp_path / "brokenpackage.py").write_text("import nothing_like_this")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.MissingExtraError, match="'brokenpackage' is installed but fails to import"):
        extras.require("brokenpackage", extra="report")


def test_unknown_names_without_choices():
    assert str(errors.unknown_name("stage", "x", [])) == "unknown stage 'x'; Known: (none)"
