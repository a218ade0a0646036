"""The list of what a folder holds, and what it notices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Problem, stage
from rerankit.errors import FormatError


def a_folder(path: Path) -> Path:
    return rerankit.write(path, Problem(np.float32([[0.25, 0.5], [1, 2]]), query_ids=["cat", "dog"]))


@pytest.mark.parametrize("name", ["scores.npy", "query_ids.txt"])
def test_a_changed_bit_is_noticed(tmp_path: Path, name: str) -> None:
    folder = a_folder(tmp_path / "folder")
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(FormatError, match=rf"{name}: is not what was written: its size or checksum differs"):
        rerankit.read(folder)


def test_a_lost_file_is_noticed_and_a_new_one_taken(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "folder")
    np.save(folder / "gallery_scores.npy", np.eye(2))
    assert rerankit.read(folder).gallery_scores is not None
    (folder / "query_ids.txt").unlink()
    with pytest.raises(FormatError, match=r"query_ids\.txt: no such file"):
        rerankit.read(folder)


@pytest.mark.parametrize("content", ["", "[1]", '{"files": {}}', '{"rerankit": "1", "files": 3}', "{" * 9000])
def test_a_damaged_list_is_refused(tmp_path: Path, content: str) -> None:
    folder = a_folder(tmp_path / "folder")
    (folder / "rerankit.json").write_text(content)
    with pytest.raises(FormatError, match=r"rerankit\.json: is damaged, or no list of rerankit's; remove it"):
        rerankit.read(folder)
    (folder / "rerankit.json").unlink()
    assert rerankit.read(folder).shape == (2, 2)


@pytest.mark.parametrize("said", [{"bytes": 1, "crc32": "00000000"}, {"bytes": True}, 3, {"bytes": 44, "md5": "x"}])
def test_a_list_that_lies_is_refused(tmp_path: Path, said: object) -> None:
    folder = a_folder(tmp_path / "folder")
    content = json.loads((folder / "rerankit.json").read_text())
    content["files"]["scores.npy"] = said
    (folder / "rerankit.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"scores\.npy: is not what was written"):
        rerankit.read(folder)


def test_a_list_cannot_name_files_outside(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "folder")
    content = json.loads((folder / "rerankit.json").read_text())
    content["files"]["../outside"] = {"bytes": 0, "crc32": "00000000"}
    (folder / "rerankit.json").write_text(json.dumps(content))
    (tmp_path / "outside").touch()
    with pytest.raises(FormatError, match="must"):
        rerankit.read(folder)


def test_weights_and_config_of_two_stages_are_not_mixed(tmp_path: Path) -> None:
    from rerankit.pipelines.storage import load

    for seed in (0, 1):
        made = stage("consensus")
        made.save(tmp_path / str(seed))
    fitted = _fitted(3), _fitted(4)
    for number, one in enumerate(fitted):
        one.save(tmp_path / f"fitted{number}")
    assert load(tmp_path / "fitted0") == fitted[0]
    (tmp_path / "fitted1" / "weights.safetensors").replace(tmp_path / "fitted0" / "weights.safetensors")
    with pytest.raises(FormatError, match=r"weights\.safetensors: is not what was written: .*save the stage again"):
        load(tmp_path / "fitted0")
    (tmp_path / "fitted0" / "weights.safetensors").unlink()
    with pytest.raises(FormatError, match=r"weights\.safetensors: no such file"):
        load(tmp_path / "fitted0")


def _fitted(seed: int) -> rerankit.Stage:
    rng = np.random.default_rng(seed)
    made = stage("calibrate")
    problem = Problem(rng.normal(size=(30, 40)))
    made.fit(problem, rerankit.Relevance.from_lists([[n] for n in range(30)], 40))
    return made
