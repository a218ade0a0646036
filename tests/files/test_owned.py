"""What may be replaced: a folder goes only when rerankit wrote all that is in it."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Pipeline, Problem
from rerankit.errors import InputError
from rerankit.files import check_free, owned


def a_problem() -> Problem:
    return Problem(np.eye(2, 3, dtype=np.float32), query_ids=["a", "b"])


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_nothing_that_exists_is_replaced_unasked(tmp_path: Path) -> None:
    for name in ("run.npz", "folder"):
        rerankit.write(tmp_path / name, a_problem())
        with pytest.raises(InputError, match=rf"'path' must not exist, unless overwrite=True .*{name}"):
            rerankit.write(tmp_path / name, a_problem())
        rerankit.write(tmp_path / name, a_problem(), overwrite=True)
    stage = rerankit.stage("csls")
    stage.save(tmp_path / "stage")
    with pytest.raises(InputError, match="'folder' must not exist, unless overwrite=True"):
        stage.save(tmp_path / "stage")
    stage.save(tmp_path / "stage", overwrite=True)
    (tmp_path / "empty").mkdir()
    stage.save(tmp_path / "empty")


@pytest.mark.parametrize("theirs", ["thesis.tex", ".git/HEAD", "model.safetensors", "sub/deep/notes.txt"])
@pytest.mark.parametrize("kind", ["stage", "pipeline", "problem"])
def test_a_folder_with_somebody_elses_file_stays(tmp_path: Path, kind: str, theirs: str) -> None:
    folder = tmp_path / "folder"

    def save() -> None:
        if kind == "problem":
            rerankit.write(folder, a_problem(), overwrite=True)
        elif kind == "stage":
            rerankit.stage("csls").save(folder, overwrite=True)
        else:
            Pipeline(["csls", "mutual-rank"]).save(folder, overwrite=True)

    save()
    save()
    (folder / theirs).parent.mkdir(parents=True, exist_ok=True)
    (folder / theirs).write_text("years of work")
    before = snapshot(folder)
    with pytest.raises(InputError, match=f"has '{theirs}', which rerankit did not write"):
        save()
    assert snapshot(folder) == before


def test_the_folder_of_another_librarys_model_stays(tmp_path: Path) -> None:
    """Many libraries call a file config.json."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(InputError, match=r"has 'config\.json', which rerankit did not write"):
        rerankit.stage("csls").save(tmp_path, overwrite=True)
    assert (tmp_path / "model.safetensors").read_bytes() == b"weights"


def test_a_folder_of_saved_stages_is_no_saved_stage(tmp_path: Path) -> None:
    rerankit.stage("csls").save(tmp_path / "models" / "one")
    with pytest.raises(InputError, match=r"has 'one[/\\]config\.json'"):
        rerankit.stage("csls").save(tmp_path / "models", overwrite=True)


def test_what_somebody_changed_since_stays(tmp_path: Path) -> None:
    rerankit.write(tmp_path / "folder", a_problem())
    (tmp_path / "folder" / "query_ids.txt").write_text("c\nd\n")
    with pytest.raises(InputError, match=r"has 'query_ids\.txt', which rerankit did not write or which was changed"):
        rerankit.write(tmp_path / "folder", a_problem(), overwrite=True)


def test_links_in_a_folder_are_somebody_elses(tmp_path: Path) -> None:
    rerankit.write(tmp_path / "folder", a_problem())
    (tmp_path / "outside.npy").write_bytes((tmp_path / "folder" / "scores.npy").read_bytes())
    (tmp_path / "folder" / "scores.npy").unlink()
    os.symlink(tmp_path / "outside.npy", tmp_path / "folder" / "scores.npy")
    with pytest.raises(InputError, match=r"has 'scores\.npy'"):
        rerankit.write(tmp_path / "folder", a_problem(), overwrite=True)


def test_the_folder_one_stands_in_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rerankit.write(tmp_path / "folder", {"query_features/a": np.eye(2)})
    for place in ("folder", "folder/query_features"):
        monkeypatch.chdir(tmp_path / place)
        with pytest.raises(InputError, match="in which this program runs"):
            check_free(tmp_path / "folder", overwrite=True)


def test_the_training_of_a_stage_stays(tmp_path: Path) -> None:
    from rerankit.pipelines.storage import save

    (tmp_path / "out" / "training").mkdir(parents=True)
    (tmp_path / "out" / "training" / "checkpoint.pt").write_text("a run")
    for _ in range(2):
        save(rerankit.stage("csls"), tmp_path / "out", overwrite=True, keep="training")
        assert (tmp_path / "out" / "training" / "checkpoint.pt").read_text() == "a run"
        assert rerankit.load(tmp_path / "out") == rerankit.stage("csls")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"has 'notes\.txt'"):
        save(rerankit.stage("csls"), tmp_path / "out", overwrite=True, keep="training")


def test_a_folder_that_is_replaced_while_it_is_looked_at_is_looked_at_again(tmp_path, monkeypatch) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    rerankit.write(place, a_problem())
    rerankit.write(other, Problem(np.eye(3), query_ids=["c", "d", "e"]))
    known, turns = owned._known, iter([True])

    def then_replaced(folder: Path) -> list[object]:
        found = list(known(folder))
        if next(turns, False):
            place.rename(tmp_path / "before")
            other.rename(place)
        return found

    monkeypatch.setattr(owned, "_known", then_replaced)
    check_free(place, overwrite=True)
    (place / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"has 'notes\.txt', which rerankit did not write"):
        check_free(place, overwrite=True)


def aside(folder: Path) -> Path:
    """Leave a folder as a kill does where no disk exchanges two in one step: the old one aside, the new one beside."""
    scratch = folder.parent / ".rerankit-killed"
    scratch.mkdir()
    shutil.copytree(folder, scratch / folder.name)
    folder.rename(scratch / ".replaced")
    return scratch


def test_what_stepped_aside_is_back_before_it_is_asked_whether_the_place_is_free(tmp_path: Path) -> None:
    stage = rerankit.stage("csls", neighbours=3)
    stage.save(tmp_path / "stage")
    scratch = aside(tmp_path / "stage")
    with pytest.raises(InputError, match="'folder' must not exist, unless overwrite=True"):
        rerankit.stage("csls").save(tmp_path / "stage")
    assert rerankit.load(tmp_path / "stage") == stage
    assert not scratch.exists()


def test_the_only_copy_stays_where_it_cannot_be_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rerankit.stage("csls").save(tmp_path / "stage")
    scratch = aside(tmp_path / "stage")
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only file system")))
        with pytest.raises(InputError, match="stage"):
            rerankit.load(tmp_path / "stage")
    assert (scratch / "stage" / "config.json").is_file()
    assert rerankit.load(tmp_path / "stage") == rerankit.stage("csls")


def test_what_may_not_be_looked_into_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rerankit.write(tmp_path / "folder", a_problem())
    closed = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "scores.npy")
    monkeypatch.setattr(owned, "foreign", lambda _: (_ for _ in ()).throw(closed))
    with pytest.raises(InputError, match=r"folder' must not be replaced: scores.npy: Permission denied$"):
        rerankit.write(tmp_path / "folder", a_problem(), overwrite=True)
