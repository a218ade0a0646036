"""The plugin manager: finds plugins, keeps a faulty one from harming the rest, and says what was wrong."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pluggy
from packaging.requirements import Requirement

from rerankit._version import __version__
from rerankit.errors import PluginError, unknown_name
from rerankit.plugins import inline, spec
from rerankit.plugins.registry import Registry

if TYPE_CHECKING:
    from rerankit.events import Event

GROUP = "rerankit"
BUILTIN = "rerankit"
_KINDS = {"stage": "stages", "metric": "metrics", "task": "tasks", "format": "formats"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a plugin."""

    plugin: str
    distribution: str
    text: str

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' ({self.distribution}): {self.text}"


@dataclass
class PluginInfo:
    """A plugin that was found, loaded or not."""

    name: str
    distribution: str
    status: str = "loaded"
    """"loaded", "failed" or "disabled"."""
    faults: list[Fault] = field(default_factory=list)


class Manager:
    """Registries of stages, metrics, tasks and formats, filled by plugins; built-ins come first by the same door."""

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager("rerankit")
        self._pluggy.add_hookspecs(spec)
        self.stages, self.metrics, self.tasks, self.formats = (Registry(kind) for kind in _KINDS)
        self.plugins: dict[str, PluginInfo] = {}
        self._muted: set[str] = set()
        self._load_builtins()
        self._load_entry_points()
        self._load_files()

    @property
    def faults(self) -> list[Fault]:
        """Every fault of every plugin."""
        return [fault for info in self.plugins.values() for fault in info.faults]

    def owner(self, stage_name: str) -> str:
        """The plugin and distribution a stage comes from, as text; "unregistered" when it is not registered."""
        if stage_name not in self.stages:
            return "unregistered"
        name = self.stages.entry(stage_name).owner
        return f"{name} ({self.plugins[name].distribution})"

    def is_builtin(self, stage_name: str) -> bool:
        """Whether a stage of this name ships with rerankit."""
        return stage_name in self.stages and self.stages.entry(stage_name).owner == BUILTIN

    def register(self, plugin: Any, name: str, distribution: str = "this process") -> PluginInfo:
        """Register a plugin object (a module or anything with hook implementations) and what it offers.

        A fault leaves everything else working and is kept in the returned info.
        """
        if name in self.plugins:
            raise PluginError(f"a plugin named '{name}' is already loaded, from {self.plugins[name].distribution}")
        info = self.plugins[name] = PluginInfo(name, distribution)
        try:
            self._pluggy.register(plugin, name)
            self._check_hooks()
            self._collect(plugin, info)
        except Exception as cause:
            self._fail(info, cause)
        return info

    def load_file(self, path: str | os.PathLike[str]) -> PluginInfo:
        """Load a one-file plugin; a broken one raises."""
        info = self.register(inline.module_from(path), str(path), "file")
        if info.status == "failed":
            raise PluginError(str(info.faults[0]))
        return info

    def observe(self, event: Event) -> None:
        """Call the observers of an event; one that raises is reported and not called again."""
        hook = getattr(self._pluggy.hook, f"rerankit_{event.kind}")
        for implementation in hook.get_hookimpls():
            name = implementation.plugin_name
            if name in self._muted:
                continue
            try:
                implementation.function(*[event for _ in implementation.argnames])
            except Exception as cause:
                self._muted.add(name)
                fault = Fault(name, self.plugins[name].distribution, f"observing {event.kind}: {_said(cause)}")
                self.plugins[name].faults.append(fault)
                warnings.warn(f"{fault}; it is not called again", RuntimeWarning, stacklevel=2)

    def unregister(self, name: str) -> None:
        """Remove a plugin and everything it registered."""
        if self._pluggy.has_plugin(name):
            self._pluggy.unregister(name=name)
        for registry in self._registries():
            registry.drop(name)
        self.plugins.pop(name, None)

    def _registries(self) -> tuple[Registry, ...]:
        return self.stages, self.metrics, self.tasks, self.formats

    def _load_builtins(self) -> None:
        from rerankit import builtins

        info = self.register(builtins, BUILTIN, f"rerankit {__version__}")
        if info.faults:  # our own fault, never to be passed over
            raise PluginError(str(info.faults[0]))

    def _load_entry_points(self) -> None:
        disabled, allowed = _names("RERANKIT_DISABLE_PLUGINS"), _names("RERANKIT_ALLOW_PLUGINS")
        for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
            if entry.name in self.plugins:
                continue  # the same distribution can be visible twice, through two folders of the path
            distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
            if entry.name in disabled or (allowed and entry.name not in allowed):
                self.plugins[entry.name] = PluginInfo(entry.name, distribution, "disabled")
                continue
            self._load_entry_point(entry, distribution)

    def _load_entry_point(self, entry: metadata.EntryPoint, distribution: str) -> None:
        try:
            _check_version(entry.dist)
            plugin = entry.load()
        except Exception as cause:
            info = self.plugins[entry.name] = PluginInfo(entry.name, distribution)
            self._fail(info, cause)
        else:
            self.register(plugin, entry.name, distribution)

    def _load_files(self) -> None:
        for path in filter(None, os.environ.get("RERANKIT_PLUGINS", "").split(os.pathsep)):
            try:
                plugin = inline.module_from(path)
            except Exception as cause:
                info = self.plugins[path] = PluginInfo(path, "file")
                self._fail(info, cause)
            else:
                self.register(plugin, path, "file")

    def _check_hooks(self) -> None:
        try:
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as cause:
            known = [name for name in vars(spec) if name.startswith("rerankit_")]
            unknown = str(cause).partition("unknown hook '")[2].partition("'")[0]
            raise unknown_name("hook", unknown, known) from cause

    def _collect(self, plugin: Any, info: PluginInfo) -> None:
        others = [other for other in self._pluggy.get_plugins() if other is not plugin]
        for registry in self._registries():
            hook = f"rerankit_register_{_KINDS[registry.kind]}"
            caller = self._pluggy.subset_hook_caller(hook, remove_plugins=others)
            caller(register=self._register_for(registry, info))

    def _register_for(self, registry: Registry, info: PluginInfo) -> spec.Register:
        def register(name: str, factory: Any, /) -> None:
            try:
                registry.add(name, factory, info.name)
            except PluginError as cause:  # the plugin's other names are still good
                info.faults.append(Fault(info.name, info.distribution, str(cause)))

        return register

    def _fail(self, info: PluginInfo, cause: Exception) -> None:
        info.status = "failed"
        info.faults.append(Fault(info.name, info.distribution, _said(cause)))
        if self._pluggy.has_plugin(info.name):
            self._pluggy.unregister(name=info.name)
        for registry in self._registries():
            registry.drop(info.name)


def _said(cause: Exception) -> str:
    return f"{type(cause).__name__}: {cause}"


def _names(variable: str) -> set[str]:
    return {name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()}


def _check_version(distribution: metadata.Distribution | None) -> None:
    for text in (distribution.requires or []) if distribution else []:
        requirement = Requirement(text)
        if requirement.name == "rerankit" and not requirement.specifier.contains(__version__, prereleases=True):
            raise PluginError(f"built for rerankit {requirement.specifier}, and this is rerankit {__version__}")


@cache
def manager() -> Manager:
    """The manager of this process; plugins are found when it is first asked for."""
    return Manager()


def load_plugin(path: str | os.PathLike[str]) -> PluginInfo:
    """Load a one-file plugin into this process; a broken one raises."""
    return manager().load_file(path)


def reset() -> None:
    """Forget the manager, so that the next use finds plugins anew (for tests and long-lived processes)."""
    manager.cache_clear()
