"""Names that become paths."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit.errors import FormatError, InputError
from rerankit.files import check_name
from rerankit.formats.safetensors import write_tensors

LEADING_AWAY = [
    "query_features/../../x",
    "../x",
    "/tmp/x",
    "a//b",
    "a/./b",
    "",
    "a/",
    "..",
    "a\\b",
    "a\0b",
    "a\nb",
    "query_features/" + "x" * 300,
]


@pytest.mark.parametrize("name", LEADING_AWAY)
def test_names_that_lead_away_or_cannot_be_a_file_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"'name' must"):
        check_name(name)


def test_ordinary_names_are_taken() -> None:
    for name in ("scores", "query_features/text", "query_features/Bild-Größe 2", "a.b", "...", "clip:vit"):
        check_name(name)


@pytest.mark.parametrize("name", ["clip:vit", ".hidden", "what?", "dot.", "query_features/a*b"])
def test_a_folder_takes_names_that_any_system_can_hold(tmp_path: Path, name: str) -> None:
    tables = {"scores": np.eye(2), f"query_features/{name}": np.eye(2)}
    with pytest.raises(FormatError, match="name of a file on any system"):
        rerankit.write(tmp_path / "folder", tables)
    assert set(rerankit.read(rerankit.write(tmp_path / "a.npz", tables), "tables")) == set(tables)


def test_a_folder_tells_names_apart_by_more_than_capitals(tmp_path: Path) -> None:
    features = {"Text": np.eye(2), "text": np.eye(2)}
    with pytest.raises(FormatError, match="'query_features/Text' and 'query_features/text' would be one file"):
        rerankit.write(tmp_path / "folder", {f"query_features/{name}": array for name, array in features.items()})


def hostile(path: Path, name: str) -> None:
    """A file that holds an array under a name of somebody's choice."""
    arrays = {"scores": np.eye(2, dtype=np.float32), name: np.ones((2, 2), np.float32)}
    if path.suffix == ".safetensors":
        write_tensors(path, arrays)
    elif path.suffix == ".pt":
        torch = pytest.importorskip("torch", reason="torch is not installed")
        torch.save({key: torch.from_numpy(array) for key, array in arrays.items()}, path)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for key, array in arrays.items():
                with archive.open(f"{key}.npy", "w") as member:
                    np.lib.format.write_array(member, array)


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pt"])
@pytest.mark.parametrize("name", ["query_features/../../../stolen", "/tmp/stolen", "query_features/a\\..\\b"])
def test_a_file_cannot_make_us_write_outside_a_folder(tmp_path: Path, ending: str, name: str) -> None:
    source = tmp_path / "inner" / f"problem{ending}"
    source.parent.mkdir()
    hostile(source, name)
    with pytest.raises(FormatError, match="'name of an array' must"):
        rerankit.read(source)
    with pytest.raises(FormatError, match="'name of an array' must"):
        rerankit.write(tmp_path / "inner" / "copy", {"scores": np.eye(2), name: np.eye(2)})
    assert not list(tmp_path.rglob("stolen*"))
    assert not (tmp_path / "inner" / "copy").exists()
