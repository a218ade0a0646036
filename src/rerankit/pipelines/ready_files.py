"""Prepared galleries as folders: arrays that are mapped, shared by all processes that read them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError, InputError, RerankitError, rule
from rerankit.files import atomic, check_free, check_inside, check_regular, entry
from rerankit.files.manifest import matches
from rerankit.formats.safetensors import write_tensors
from rerankit.gallery import Gallery
from rerankit.gallery_files import gallery_arrays, gallery_of
from rerankit.pipelines.composite import with_inner
from rerankit.pipelines.config import FORMAT, write_config
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.prepared import State
from rerankit.pipelines.ready import Ready
from rerankit.pipelines.storage import read_pipeline, write_into
from rerankit.plugins.code import changed, code_of
from rerankit.reading import read_json
from rerankit.reading.safetensors_file import map_tensors, read_tensors
from rerankit.version import __version__

STAGES, GALLERY, PREPARED, STATES = "stages", "gallery.safetensors", "prepared.safetensors", "states.json"


def save_ready(ready: Ready, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a prepared gallery into a folder, all or nothing."""
    if Path(folder).exists() and not Path(folder).is_dir():
        raise InputError(f"'{folder}' is a file, and a prepared gallery is saved as a folder: name a new one")
    check_free(folder, overwrite=overwrite, argument="folder")
    with atomic(folder, overwrite=overwrite) as temporary:
        temporary.mkdir()
        _write(ready, temporary)


def load_ready(path: Path, config: dict[str, Any], *, trust: bool) -> Ready:
    """The prepared gallery of a folder. Its arrays are mapped, not read."""
    if config.get("version") != __version__:
        raise FormatError(
            f"'{path}' was prepared by rerankit {config.get('version')}, and this is {__version__}: prepare it again"
        )
    try:
        for name, expected in config["files"].items():
            _check(path, name, expected)
        pipeline, content = read_pipeline(path, STAGES, trust=trust), config["ready"]
        if other := changed(config.get("code"), _code_behind(pipeline)):
            names = ", ".join(other)
            raise FormatError(f"'{path}' was prepared by other code of {names} than is here: prepare it again")
        gallery = gallery_of(_arrays(path / GALLERY, content["texts"]), content["gallery"])
        states = _states(content["states"], _arrays(path / PREPARED, []))
        return restored(pipeline, gallery, states)
    except RerankitError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as cause:
        raise FormatError(
            f"'{path}' is no prepared gallery of this rerankit: {type(cause).__name__}: {cause}"
        ) from cause


def _code_behind(pipeline: Pipeline) -> dict[str, str]:
    return code_of([type(one) for one in with_inner(pipeline)])


def _write(ready: Ready, folder: Path) -> None:
    (folder / STAGES).mkdir()
    write_into(ready.pipeline, folder / STAGES)
    arrays, values = gallery_arrays(ready.gallery)
    texts = [name for name, array in arrays.items() if array.dtype.kind == "U"]
    write_tensors(folder / GALLERY, {name: _numbers(array) for name, array in arrays.items()})
    content = {"gallery": values, "texts": texts, "states": _write_prepared(ready, folder)}
    files = {name: {**entry(folder / name, "sha256"), "written": _time(folder / name)} for name in (GALLERY, PREPARED)}
    made_by = {"version": __version__, "code": _code_behind(ready.pipeline)}
    write_config(folder, {"format": FORMAT, **made_by, "ready": content, "files": files})


def _write_prepared(ready: Ready, folder: Path) -> list[dict[str, Any]]:
    """Write the arrays that the stages keep; what else they keep, as JSON."""
    flat: dict[str, AnyArray] = {}
    kept = zip(ready.pipeline.stages, ready.prepared.state().children, strict=True)
    states = [_described(state, str(place), flat, one.name) for place, (one, state) in enumerate(kept)]
    write_tensors(folder / PREPARED, flat)
    return states


def write_states(ready: Ready, folder: Path) -> None:
    """Write what the stages keep of a gallery, without the gallery, into an empty folder."""
    states = _write_prepared(ready, folder)
    (folder / STATES).write_text(json.dumps({"version": __version__, "states": states}), encoding="utf-8")


def read_states(folder: Path) -> tuple[State, ...]:
    """What `write_states` wrote, compared with its checksums."""
    content = read_json(folder / STATES)
    try:
        if content["version"] != __version__:
            raise FormatError(f"'{folder}' was prepared by rerankit {content['version']}, and this is {__version__}")
        return _states(content["states"], read_tensors(folder / PREPARED))
    except RerankitError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as cause:
        raise FormatError(f"'{folder}' holds nothing that was prepared: {type(cause).__name__}: {cause}") from cause


def restored(pipeline: Pipeline, gallery: Gallery, states: tuple[State, ...]) -> Ready:
    """A prepared gallery from what its stages kept."""
    return Ready(gallery, pipeline, pipeline.restored(gallery, State(children=states)))


def _check(folder: Path, name: str, expected: Any) -> None:
    """Refuse a file that is not what was written: one of another time is read and compared by its digest."""
    file = check_inside(check_regular(folder / name), folder)
    same_size = isinstance(expected, dict) and expected.get("bytes") == file.stat().st_size
    if same_size and expected.get("written") == _time(file):
        return
    if not matches(file, expected):
        raise FormatError(f"{file}: is not what was written: its size or digest differs; prepare and save it again")


def _time(file: Path) -> int:
    return file.stat().st_mtime_ns


def _numbers(array: AnyArray) -> AnyArray:
    """An array that safetensors holds; texts become the numbers of their characters."""
    if array.dtype.kind != "U":
        return np.asarray(array)
    width = max(1, array.dtype.itemsize // 4)
    return np.ascontiguousarray(array.astype(f"<U{width}")).view(np.uint32).reshape(*array.shape, width)


def _arrays(file: Path, texts: list[str]) -> dict[str, AnyArray]:
    """The arrays of a file, mapped, as plain arrays over the map."""
    found = {name: np.asarray(array) for name, array in map_tensors(file).items()}
    for name in texts:
        numbers = found[name]
        if numbers.dtype != np.uint32 or numbers.ndim < 2 or numbers.max(initial=0) > sys.maxunicode:
            raise FormatError(f"{file}: '{name}' must hold the characters of texts, and each once")
        found[name] = numbers.view(f"<U{numbers.shape[-1]}").reshape(numbers.shape[:-1])
    return found


def _described(state: State, name: str, flat: dict[str, AnyArray], owner: str) -> dict[str, Any]:
    """A state as JSON; its arrays go into `flat` under its name."""
    flat |= {f"{name}/{key}": np.asanyarray(array) for key, array in state.arrays.items()}
    children = [_described(child, f"{name}.{place}", flat, owner) for place, child in enumerate(state.children)]
    return {"name": name, "values": _plain(state.values, f"State of stage {owner}"), "children": children}


def _plain(value: Any, where: str) -> Any:
    """A value of a state as JSON gives it back."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each, where) for each in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, f"{where}['{key}']") for key, each in value.items()}
    raise rule(where, "must have values that JSON holds: numbers, texts, lists, dictionaries by texts", value)


def _states(described: list[dict[str, Any]], flat: Mapping[str, AnyArray]) -> tuple[State, ...]:
    found = []
    for one in described:
        prefix = f"{one['name']}/"
        arrays = {key.removeprefix(prefix): array for key, array in flat.items() if key.startswith(prefix)}
        found.append(State(arrays, one["values"], _states(one["children"], flat)))
    return tuple(found)
