"""What may stand under a name of each kind, and what a factory of that kind may make."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from rerankit.errors import PluginError

KINDS = {"stage": "stages", "metric": "metrics", "task": "tasks", "format": "formats", "engine": "engines"}
"""Each kind with its plural, which is the name of its registry."""

# Paths, because these modules import the registries.
_BASES = {
    "stage": ("rerankit.pipelines.stage", "Stage"),
    "task": ("rerankit.tasks.base", "Task"),
    "format": ("rerankit.formats.content", "Format"),
    "engine": ("rerankit.engines.engine", "Engine"),
}


_LABELS = {"stage": "rerankit.Stage", "format": "rerankit.formats.Format", "engine": "rerankit.engines.Engine"}


def check_factory(kind: str, name: str, factory: Any) -> None:
    """Refuse what is registered when it is plainly not of its kind."""
    if not callable(factory):
        raise PluginError(f"{kind} '{name}' must be a callable or 'module.path:Name' (got {factory!r})")
    if kind in _BASES and isinstance(factory, type) and not issubclass(factory, _base(kind)):
        raise PluginError(f"{kind} '{name}' must be a subclass of {_label(kind)} (got {factory!r})")
    if kind == "metric":
        _check_function(name, factory)


def _check_function(name: str, function: Any) -> None:
    """Refuse a metric that cannot be called with places, and `k` if it has a cut-off."""
    try:
        inspect.signature(function).bind("places", **{"k": 1} if "k" in inspect.signature(function).parameters else {})
    except (TypeError, ValueError) as cause:  # ValueError: a function of C that does not say what it takes
        raise PluginError(
            f"metric '{name}' must take places, and 'k' if it has a cut-off (got {function!r})"
        ) from cause


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
