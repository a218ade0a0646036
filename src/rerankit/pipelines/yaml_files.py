"""Pipelines as YAML."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rerankit.errors import FormatError, InputError, brief, rule
from rerankit.files import check_regular
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage, stage
from rerankit.pipelines.storage import load
from rerankit.pipelines.top import Top
from rerankit.reading import parse_yaml, read_text
from rerankit.reading.yaml_text import EXPONENT, FIRST, FLOAT
from rerankit.values import same

_FORMS = ("stage", "stages", "load")
"""What an item is given by: a name with its parameters, items that run one after the other, a saved folder."""


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which puts quotes around a text that would be read as a number."""


_Dumper.add_implicit_resolver(FLOAT, EXPONENT, FIRST)


def to_yaml(pipeline: Pipeline) -> str:
    """A pipeline as YAML text; fitted stages must have been saved, and are named by `load:`."""
    return yaml.dump(_stages_of(pipeline), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def _stages_of(pipeline: Pipeline) -> dict[str, Any]:
    return {"stages": [_yaml_of(one) for one in pipeline.stages]}


def _yaml_of(one: Stage) -> dict[str, Any]:
    if isinstance(one, Pipeline):
        return _stages_of(one)
    # The short form says one `top`; a top of a top is written in full.
    if isinstance(one, Top) and not isinstance(one.stage, Top):
        return {**_yaml_of(one.stage), "top": one.candidates}
    if one.fitted and not one.children:  # of those inside, each says it itself
        raise InputError(
            f"stage '{one.name}' has weights, which YAML does not hold: save it and write 'load: FOLDER', "
            "or save the pipeline with Pipeline.save"
        )
    params = {
        name: _yaml_value(name, value)
        for name, value in one.get_params().items()
        if not same(value, one.parameters()[name].default)
    }
    return {"stage": one.name, **({"params": params} if params else {})}


def _yaml_value(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):  # first: numpy.float64 is a float, too
        return value.item()
    if isinstance(value, Stage):
        return _yaml_of(value)
    if isinstance(value, list | tuple):
        return [_yaml_value(name, item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise InputError(
        f"parameter '{name}' cannot be written as YAML (got {type(value).__name__}): "
        "give a list or a path instead, or save the pipeline with Pipeline.save"
    )


def from_yaml(source: str | os.PathLike[str], *, trust: bool = False) -> Pipeline:
    """A pipeline from YAML text or from a file's path; `trust` goes to `rerankit.load` for what `load:` names.

    >>> from_yaml("stages: [{stage: mutual-rank, top: 20}]")
    Pipeline([stage('mutual-rank').top(20)])
    """
    text, where, base = _text_of(source)
    parsed = parse_yaml(text, where)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("stages"), list) or len(parsed) > 1:
        raise FormatError(f"{where} must hold one key, 'stages', with a list (got {brief(parsed)})")
    return _pipeline(parsed["stages"], base, where, trust)


def _pipeline(items: list[Any], base: Path, where: str, trust: bool) -> Pipeline:
    return Pipeline([_from_yaml_item(item, base, where, trust) for item in items])


def _text_of(source: str | os.PathLike[str]) -> tuple[str, str, Path]:
    """The text, what to call it in errors, and the folder that its paths start from."""
    if not isinstance(source, str | os.PathLike):
        raise rule("source", "must be YAML text or a path", source)
    # A mapping has a colon before a blank or a brace, or at the end; C:/pipeline.yaml has neither.
    if isinstance(source, str) and re.search(r"\n|:\s|:$|^\s*\{", source):
        return source, "the YAML text", Path()
    path = check_regular(source, "pipeline file")
    return read_text(path, "text"), f"'{path}'", path.parent


def _from_yaml_item(item: Any, base: Path, where: str, trust: bool) -> Stage:
    if isinstance(item, str):
        return stage(item)
    if not isinstance(item, dict) or len(item.keys() & set(_FORMS)) != 1:
        raise FormatError(f"{where}: a stage is a name, or has 'stage', 'stages' or 'load' (got {brief(item)})")
    _check_item(item, where)
    made: Stage
    if "load" in item:
        made = _loaded(item, base, where, trust)
    elif "stages" in item:
        made = _pipeline(item["stages"], base, where, trust)
    else:
        made = stage(item["stage"], **_params_of(item, base, where, trust))
    return made.top(item["top"]) if "top" in item else made


def _loaded(item: dict[str, Any], base: Path, where: str, trust: bool) -> Stage:
    """What 'load' names, with the parameters that are given in the place of its own."""
    params = _params_of(item, base, where, trust)
    made: Stage = load(base / item["load"], trust=trust)
    if params and isinstance(made, Pipeline):
        raise FormatError(f"{where}: 'params' goes with a stage, and '{item['load']}' is a pipeline")
    return made.clone(**params) if params else made


def _check_item(item: dict[Any, Any], where: str) -> None:
    unknown = sorted(map(str, item.keys() - {*_FORMS, "params", "top"}))
    if unknown:
        raise FormatError(f"{where}: a stage has 'stage' or 'load', 'params' and 'top' (got {', '.join(unknown)} too)")
    if "stages" in item and "params" in item:
        raise FormatError(f"{where}: 'params' goes with 'stage' or 'load' (got {brief(item)})")
    form = next(name for name in _FORMS if name in item)
    if not isinstance(item[form], list if form == "stages" else str):
        what = "'stages' must be a list" if form == "stages" else "'stage' and 'load' must be a text"
        raise FormatError(f"{where}: {what} (got {brief(item[form])})")


def _params_of(item: dict[str, Any], base: Path, where: str, trust: bool) -> dict[str, Any]:
    params = {} if item.get("params") is None else item["params"]
    if not isinstance(params, dict) or not all(isinstance(name, str) for name in params):
        name = item.get("stage", item.get("load"))
        raise FormatError(f"{where}: 'params' of stage '{name}' must have texts as keys (got {brief(params)})")
    return {name: _yaml_param(value, base, where, trust) for name, value in params.items()}


def _yaml_param(value: Any, base: Path, where: str, trust: bool) -> Any:
    if isinstance(value, dict) and value.keys() & set(_FORMS):
        return _from_yaml_item(value, base, where, trust)
    return [_yaml_param(item, base, where, trust) for item in value] if isinstance(value, list) else value
