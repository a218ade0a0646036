"""Stages and pipelines on disk: config.json with safetensors beside it, and YAML; never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from rerankit._version import __version__
from rerankit.errors import FormatError, InputError
from rerankit.files import atomic, check_replaceable
from rerankit.formats.safetensors import SafetensorsFormat, write_tensors
from rerankit.pipeline import Pipeline
from rerankit.stages.base import Stage, Top, stage

if TYPE_CHECKING:
    from rerankit.arrays import AnyArray

FORMAT = 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"


def save(what: Stage | Pipeline, folder: str | os.PathLike[str]) -> None:
    """Write a stage or a pipeline with its weights into a folder; all or nothing."""
    check_replaceable(folder, CONFIG)
    with atomic(folder) as temporary:
        temporary.mkdir()
        _write(what, temporary)


def load(folder: str | os.PathLike[str]) -> Any:
    """The stage or pipeline a folder holds."""
    path = Path(folder)
    config = _config(path)
    if "pipeline" in config:
        return Pipeline([load(path / name) for name in config["pipeline"]])
    params = {name: _decoded(value, path) for name, value in config["params"].items()}
    made = stage(config["stage"], **params)
    if (path / WEIGHTS).is_file():
        made.set_weights(_read_arrays(path / WEIGHTS))
    return made


def _write(what: Stage | Pipeline, folder: Path) -> None:
    config: dict[str, Any] = {"format": FORMAT, "rerankit": __version__}
    if isinstance(what, Pipeline):
        config["pipeline"] = [f"{position:02d}-{one.name}" for position, one in enumerate(what.stages)]
        for name, one in zip(config["pipeline"], what.stages, strict=True):
            (folder / name).mkdir()
            _write(one, folder / name)
    else:
        config["stage"] = what.name
        config["params"] = {name: _encoded(name, value, folder) for name, value in what.get_params().items()}
        weights = what.get_weights()
        if weights:
            _write_arrays(weights, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _config(path: Path) -> dict[str, Any]:
    file = path / CONFIG
    if not file.is_file():
        raise FormatError(f"'{path}' is not a saved stage: it has no {CONFIG}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as cause:
        raise FormatError(f"'{file}' is not JSON: {cause}") from cause
    if not isinstance(config, dict) or not ({"stage", "params"} <= config.keys() or "pipeline" in config):
        raise FormatError(f"'{file}' must hold 'stage' and 'params', or 'pipeline'")
    if config.get("format") != FORMAT:
        raise FormatError(f"'{file}' has format {config.get('format')!r}, and this rerankit reads format {FORMAT}")
    return config


def _encoded(name: str, value: Any, folder: Path) -> Any:
    """A parameter as JSON; stages inside go to sub-folders, arrays to files beside the config."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_encoded(f"{name}-{position}", item, folder) for position, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: _encoded(f"{name}-{key}", item, folder) for key, item in value.items()}
    if isinstance(value, Stage | Pipeline):
        (folder / name).mkdir()
        _write(value, folder / name)
        return {"$stage": name}
    if isinstance(value, np.ndarray):
        _write_arrays({"array": value}, folder / f"{name}.safetensors")
        return {"$array": f"{name}.safetensors"}
    raise InputError(
        f"parameter '{name}' cannot be saved (got {type(value).__name__}): "
        "give a path instead, or put what it holds into the problem"
    )


def _decoded(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_decoded(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$stage"}:
        return load(folder / value["$stage"])
    if value.keys() == {"$array"}:
        return _read_arrays(folder / value["$array"])["array"]
    return {key: _decoded(item, folder) for key, item in value.items()}


def _write_arrays(arrays: dict[str, AnyArray], path: Path) -> None:
    write_tensors(path, {name: np.ascontiguousarray(array) for name, array in arrays.items()})


def _read_arrays(path: Path) -> dict[str, AnyArray]:
    try:
        return {name: np.array(array) for name, array in SafetensorsFormat().read(path).items()}
    except (FormatError, OSError, ValueError) as cause:
        raise FormatError(f"'{path}' is not a readable safetensors file: {cause}") from cause


def to_yaml(pipeline: Pipeline) -> str:
    """A pipeline as YAML text; fitted stages must have been saved, and are named by `load:`."""
    return yaml.safe_dump({"stages": [_yaml_of(one) for one in pipeline.stages]}, sort_keys=False, allow_unicode=True)


def _yaml_of(one: Stage) -> dict[str, Any]:
    if isinstance(one, Top):
        return {**_yaml_of(one.stage), "top": one.k}
    if one.fitted:
        raise InputError(
            f"stage '{one.name}' has weights, which YAML does not hold: save it and write 'load: FOLDER', "
            "or save the pipeline with Pipeline.save"
        )
    params = {
        name: _yaml_value(name, value)
        for name, value in one.get_params().items()
        if value is not one.parameters()[name].default and value != one.parameters()[name].default
    }
    return {"stage": one.name, **({"params": params} if params else {})}


def _yaml_value(name: str, value: Any) -> Any:
    if isinstance(value, Stage):
        return _yaml_of(value)
    if isinstance(value, list | tuple):
        return [_yaml_value(name, item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"parameter '{name}' cannot be written as YAML (got {type(value).__name__}): give a path instead")


def from_yaml(source: str | os.PathLike[str]) -> Pipeline:
    """A pipeline from YAML text or from a file's path.

    >>> from_yaml("stages: [{stage: mutual-rank, top: 20}]")
    Pipeline([stage('mutual-rank').top(20)])
    """
    text, where = _text_of(source)
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError as cause:
        raise FormatError(f"{where} is not YAML: {' '.join(str(cause).split())}") from cause
    if not isinstance(parsed, dict) or not isinstance(parsed.get("stages"), list) or len(parsed) > 1:
        raise FormatError(f"{where} must hold one key, 'stages', with a list (got {parsed!r})")
    base = Path(source).parent if where.startswith("'") else Path()
    return Pipeline([_from_yaml_item(item, base, where) for item in parsed["stages"]])


def _text_of(source: str | os.PathLike[str]) -> tuple[str, str]:
    if isinstance(source, str) and ("\n" in source or ":" in source):
        return source, "the YAML text"
    path = Path(source)
    if not path.is_file():
        raise FormatError(f"pipeline file '{path}' does not exist")
    return path.read_text(encoding="utf-8"), f"'{path}'"


def _from_yaml_item(item: Any, base: Path, where: str) -> Stage | Pipeline:
    if isinstance(item, str):
        return stage(item)
    if not isinstance(item, dict) or ("stage" in item) == ("load" in item):
        raise FormatError(f"{where}: a stage is a name, or has 'stage' or 'load' (got {item!r})")
    unknown = sorted(item.keys() - {"stage", "load", "params", "top"})
    if unknown:
        raise FormatError(f"{where}: a stage has 'stage' or 'load', 'params' and 'top' (got {', '.join(unknown)} too)")
    made: Stage
    if "load" in item:
        made = load(base / item["load"])
    else:
        params = {name: _yaml_param(value, base, where) for name, value in (item.get("params") or {}).items()}
        made = stage(item["stage"], **params)
    return made.top(item["top"]) if "top" in item else made


def _yaml_param(value: Any, base: Path, where: str) -> Any:
    if isinstance(value, dict) and ("stage" in value or "load" in value):
        return _from_yaml_item(value, base, where)
    return [_yaml_param(item, base, where) for item in value] if isinstance(value, list) else value
