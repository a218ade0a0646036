"""Stages and pipelines on disk: config.json with safetensors beside it; never pickle."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import limits
from rerankit.adapters.huggingface import ADDRESS, downloaded
from rerankit.errors import FormatError, InputError, RerankitError, UnknownNameError
from rerankit.extras import explained
from rerankit.files import CONFIG, atomic, check_entry, check_free, check_inside, entry, unchanged
from rerankit.formats.safetensors import write_tensors
from rerankit.pipelines.config import (
    FORMAT,
    _array_in,
    _config,
    _file_name,
    _inner,
    _inner_folder,
    _read_arrays,
    _unused,
    write_config,
)
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage, stage
from rerankit.plugins import manager
from rerankit.plugins.code import code_of, remedy

WEIGHTS = "weights.safetensors"


def save(what: Stage, folder: str | os.PathLike[str], *, overwrite: bool = False, keep: str | None = None) -> None:
    """Write a stage or a pipeline with its weights into a folder; all or nothing.

    With `overwrite` a folder that is there is replaced, if rerankit wrote every file in it but for those of the
    folder `keep` inside, which stay (the training of a fitted stage, say).
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise InputError(f"'{folder}' is a file, and a stage is saved as a folder: name a new one")
    check_free(folder, overwrite=overwrite, argument="folder", kept=() if keep is None else (f"{keep}/*",))
    with atomic(folder, overwrite=overwrite) as temporary:
        temporary.mkdir()
        write_into(what, temporary)
        if keep is not None and (Path(folder) / keep).is_dir():
            _link_tree(Path(folder) / keep, temporary / keep)


def _link_tree(source: Path, target: Path) -> None:
    """The same files in another place, without a copy where the disk has links."""

    def link(file: str, place: str) -> None:
        try:
            os.link(file, place, follow_symlinks=False)
        except OSError:
            shutil.copy2(file, place, follow_symlinks=False)

    shutil.copytree(source, target, symlinks=True, copy_function=link)


def load(folder: str | os.PathLike[str], *, trust: bool = False) -> Any:
    """The stage, pipeline or prepared gallery (`Ready`) a folder holds; the arrays of the last stay on disk.

    ``hf:owner/name``, or ``hf:owner/name@revision``, is a repository of the Hugging Face Hub, which is downloaded.

    A stage may name a model that does not lie in the folder: a path, or a name on a hub. Whoever wrote the folder chose
    it, and what is loaded from there is not what was looked at here; with `trust` it is taken.
    """
    path = downloaded(os.fspath(folder)) if os.fspath(folder).startswith(ADDRESS) else Path(folder)
    return unchanged(path, lambda: _load(path, trust))


def is_saved(name: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a folder, or of a repository on the hub, rather than of a stage or a file.

    >>> is_saved("hf:owner/name"), is_saved("csls")
    (True, False)
    """
    return os.fspath(name).startswith(ADDRESS) or Path(name).is_dir()


def _load(path: Path, trust: bool) -> Any:
    config = _config(path)
    if "ready" in config:
        from rerankit.pipelines.ready_files import load_ready

        return load_ready(path, config, trust=trust)
    for name, expected in config["files"].items():
        check_entry(path, _inner(path, name).name, expected, "save the stage again")
    if "pipeline" in config:
        return Pipeline([_load(_inner_folder(path, name), trust) for name in config["pipeline"]])
    params = {name: _decoded(value, path, trust) for name, value in config["params"].items()}
    _check_known(config["stage"], config.get("code"), path)
    params |= _models(config["stage"], params, path, trust)
    made = _made(config["stage"], params, config.get("code"), path)
    if os.path.lexists(path / WEIGHTS):
        _set_weights(made, check_inside(path / WEIGHTS, path))
    return made


def _check_known(name: str, code: Any, path: Path) -> None:
    """Refuse a stage that is not here, and say whose it was."""
    try:
        manager().stages.entry(name)
    except UnknownNameError as error:
        advice = remedy(code)
        message = f"'{path}' holds stage '{name}', which is not here; {advice}" if advice else str(error)
        raise UnknownNameError(message) from error


def _made(name: str, params: dict[str, Any], code: Any, path: Path) -> Stage:
    """The stage; where it no longer takes what was saved, the error tells of which code the folder is."""
    try:
        return stage(name, **params)
    except InputError as error:
        advice = remedy(code)
        raise FormatError(f"'{path}': {error}{f'; {advice}' if advice else ''}") from error


def _set_weights(made: Stage, file: Path) -> None:
    weights = _read_arrays(file)
    try:
        made.set_weights(weights)
    except RerankitError:
        raise
    except Exception as cause:
        advice = explained(cause, f"stage '{made.name}'") if isinstance(cause, ImportError) else None
        text = f"'{file}' does not hold the weights of {made!r}: {type(cause).__name__}: {cause}"
        raise advice or FormatError(text) from cause


def read_pipeline(folder: Path, name: str, *, trust: bool) -> Pipeline:
    """The pipeline that `write_into` wrote into a folder inside another."""
    found = _load(_inner_folder(folder, name), trust)
    if not isinstance(found, Pipeline):
        raise FormatError(f"'{folder / name}' must hold a pipeline (got {found!r})")
    return found


def write_into(what: Stage, folder: Path) -> None:
    """Write a stage or a pipeline into an empty folder."""
    config: dict[str, Any] = {"format": FORMAT}
    if isinstance(what, Pipeline):
        names = [_file_name(f"{position:02d}-{one.name}") for position, one in enumerate(what.stages)]
        config["pipeline"] = names
        for name, one in zip(names, what.stages, strict=True):
            (folder / name).mkdir()
            write_into(one, folder / name)
    else:
        _check_own_name(what)
        config["stage"] = what.name
        config["params"] = {name: _encoded(name, value, folder) for name, value in what.get_params().items()}
        config["code"] = code_of([type(what)])
        weights = what.get_weights()
        if weights:
            write_tensors(folder / WEIGHTS, weights)
    config["files"] = {file.name: entry(file, "sha256") for file in sorted(folder.iterdir()) if file.is_file()}
    write_config(folder, config)


def _check_own_name(what: Stage) -> None:
    """Refuse a stage that another class would be made for when it is loaded."""
    if not what.name:
        raise InputError(f"{type(what).__name__} must have a 'name' to be saved")
    if what.name not in manager().stages:
        return
    entry = manager().stages.entry(what.name)
    registered = entry.load()
    if isinstance(registered, type) and registered is not type(what):
        raise InputError(
            f"{type(what).__name__} cannot be saved under its name '{what.name}', which is that of "
            f"{registered.__name__} of {entry.source}: give the class a name of its own"
        )


def _encoded(name: str, value: Any, folder: Path) -> Any:
    """A parameter as JSON; stages inside go to sub-folders, arrays to files beside the config."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic) and not isinstance(value.item(), np.generic):
        return _encoded(name, value.item(), folder)
    if isinstance(value, list | tuple):
        return [_encoded(f"{name}-{position}", item, folder) for position, item in enumerate(value)]
    if isinstance(value, dict):
        _check_keys(name, value)
        return {key: _encoded(f"{name}-{key}", item, folder) for key, item in value.items()}
    if isinstance(value, Stage):
        inner = _unused(folder, name, "")
        inner.mkdir()
        write_into(value, inner)
        return {"$stage": inner.name}
    if isinstance(value, np.ndarray):
        file = _unused(folder, name, ".safetensors")
        write_tensors(file, {"array": value})
        return {"$array": file.name}
    if callable(getattr(value, "get_params", None)):
        how = "an estimator can only be written as a pickle, which runs code when it is read: take a built-in model"
    else:
        how = "give a path instead, or put what it holds into the problem"
    raise InputError(f"parameter '{name}' cannot be saved (got {type(value).__name__}): {how}")


def _check_keys(name: str, value: dict[Any, Any]) -> None:
    bad = [key for key in value if not isinstance(key, str) or key.startswith("$")]
    if bad:
        raise InputError(f"parameter '{name}' cannot be saved: its keys must be texts not beginning with $ (got {bad})")


def _models(name: str, params: dict[str, Any], folder: Path, trust: bool) -> dict[str, str]:
    """Models that a stage names, as paths where they lie in its folder; others are refused without `trust`."""
    found: dict[str, str] = {}
    kind = manager().stages[name]
    for parameter in (*getattr(kind, "outside", ()), *getattr(kind, "writes", ())):
        value = params.get(parameter)
        inside = folder / value if value and isinstance(value, str) else None
        if inside is not None and inside.exists() and inside.resolve().is_relative_to(folder.resolve()):
            found[parameter] = str(inside)
        elif value is not None and not trust:
            what = "a model" if parameter in kind.outside else "a place"
            raise FormatError(
                f"'{folder / CONFIG}' names {what} outside of its folder, {parameter}={value!r}, which its author "
                "chose and which would be loaded, asked or written to; if you trust it, load the folder with "
                "trust=True (--trust)"
            )
    return found


def _decoded(value: Any, folder: Path, trust: bool, depth: int = 1) -> Any:
    limits.check(folder / CONFIG, "depth", depth, "the number of lists and objects in each other")
    if isinstance(value, list):
        return [_decoded(item, folder, trust, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$stage"}:
        return _load(_inner_folder(folder, value["$stage"]), trust)
    if value.keys() == {"$array"}:
        return _array_in(check_inside(_inner(folder, value["$array"]), folder))
    return {key: _decoded(item, folder, trust, depth + 1) for key, item in value.items()}
