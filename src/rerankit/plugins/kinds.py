"""What may stand under a name of each kind, and what a factory of that kind may make."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

from rerankit.errors import PluginError

KINDS = {
    "stage": "stages",
    "metric": "metrics",
    "task": "tasks",
    "format": "formats",
    "engine": "engines",
    "source": "sources",
    "fusion rule": "fusion_rules",
    "need": "needs",
    "command": "commands",
    "importer": "importers",
    "scorer": "scorers",
    "chart": "charts",
}
"""Each kind with its plural, which is the name of its registry."""

# Paths, because these modules import the registries.
_BASES = {
    "stage": ("rerankit.pipelines.stage", "Stage"),
    "task": ("rerankit.tasks.base", "Task"),
    "format": ("rerankit.formats.content", "Format"),
    "engine": ("rerankit.engines.engine", "Engine"),
    "source": ("rerankit.formats.sources", "Source"),
    "need": ("rerankit.pipelines.needs", "NeedWord"),
}
_LABELS = {
    "stage": "rerankit.Stage",
    "format": "rerankit.formats.Format",
    "engine": "rerankit.engines.Engine",
    "source": "rerankit.formats.Source",
    "need": "rerankit.pipelines.NeedWord",
}
_TAKES = {
    "chart": ("view",),
    "metric": ("places", "k"),
    "fusion rule": ("values", "weights", "normalise", "rrf_constant"),
}
"""What the functions of a kind are called with; the last ones only if they have an argument of this name."""
_ALWAYS = {"chart": 1, "metric": 1, "fusion rule": 2}


def check_factory(kind: str, name: str, factory: Any) -> None:
    """Refuse what is registered when it is plainly not of its kind."""
    if not callable(factory):
        raise PluginError(f"{kind} '{name}' must be a callable or 'module.path:Name' (got {factory!r})")
    if kind in _BASES and isinstance(factory, type) and not issubclass(factory, _base(kind)):
        raise PluginError(f"{kind} '{name}' must be a subclass of {_label(kind)} (got {factory!r})")
    if kind in _TAKES:
        _check_function(kind, name, factory)
    if kind == "source" and not re.fullmatch("[a-z][a-z0-9+.-]+", name):
        raise PluginError(f"source '{name}' must have a name of small letters and digits, two at least")


def _check_function(kind: str, name: str, function: Any) -> None:
    """Refuse a function that cannot be called with what its kind is called with."""
    always, maybe = _TAKES[kind][: _ALWAYS[kind]], _TAKES[kind][_ALWAYS[kind] :]
    try:
        taken = inspect.signature(function)
        taken.bind(*always, **{argument: 1 for argument in maybe if argument in taken.parameters})
    except (TypeError, ValueError) as cause:  # ValueError: a function of C that does not say what it takes
        text = f"must be a function of {' and '.join(always)}{', that may take ' * bool(maybe)}{' and '.join(maybe)}"
        raise PluginError(f"{kind} '{name}' {text} (got {function!r})") from cause


def check_made(kind: str, name: str, made: Any) -> None:
    """Refuse what a factory has made when it is not of its kind."""
    if kind in _BASES and not isinstance(made, _base(kind)):
        raise PluginError(f"{kind} '{name}' is not a {_label(kind)} (got {type(made)})")
    if kind == "format":
        for attribute in ("suffixes", "holds"):
            if not isinstance(getattr(made, attribute, None), tuple):
                raise PluginError(f"format '{name}' must have '{attribute}', a tuple")
        if not all(isinstance(ending, str) for ending in made.suffixes):
            raise PluginError(f"format '{name}' must have texts in 'suffixes' (got {made.suffixes})")


def made_without_arguments(kind: str, factory: Any) -> bool:
    """Whether a thing of the kind is made by a factory, and this one asks for no arguments."""
    if kind not in _BASES:
        return False
    found = inspect.signature(factory).parameters.values()
    return all(p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in found)


def _base(kind: str) -> type:
    module, attribute = _BASES[kind]
    found: type = getattr(import_module(module), attribute)
    return found


def _label(kind: str) -> str:
    return _LABELS.get(kind, ".".join(_BASES[kind]))
