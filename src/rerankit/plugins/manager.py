"""The plugin manager: finds plugins, keeps a faulty one from harming the rest, and says what was wrong."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from rerankit.errors import PluginError, RerankitWarning, unknown_name
from rerankit.plugins import environment, inline, project, spec
from rerankit.plugins.faults import Fault, FaultError, one_line, printed_faults
from rerankit.plugins.kinds import KINDS
from rerankit.plugins.loading import loading
from rerankit.plugins.registry import Registry
from rerankit.version import __version__

if TYPE_CHECKING:
    from rerankit.events import Event

GROUP = "rerankit"
BUILTIN = "rerankit"
FILE = "file"


@dataclass
class PluginInfo:
    """A plugin that was found, loaded or not."""

    name: str
    distribution: str
    status: str = "loaded"
    """"loaded", "failed" or "disabled"."""
    faults: list[Fault] = field(default_factory=list)


class Manager:
    """A registry of each kind of thing (`rerankit.plugins.kinds`), filled by plugins; built-ins come first.

    A new one has the built-ins; `discover` adds what is installed and what the environment names.
    """

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager("rerankit")
        self._pluggy.add_hookspecs(spec)
        self.stages, self.metrics, self.tasks, self.formats, self.engines, *rest = (Registry(kind) for kind in KINDS)
        self.sources, self.fusion_rules, self.needs, self.commands, self.importers, self.scorers, self.charts = rest
        self.plugins: dict[str, PluginInfo] = {}
        self.notes: list[str] = []
        """What else there is to say of plugins that were found."""
        self._muted: set[str] = set()
        self._observed: frozenset[str] = frozenset()
        self._load_builtins()

    def discover(self) -> None:
        """Load the installed plugins, the files that the environment names, and the project's own if it may."""
        for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
            self._load_entry_point(entry)
        for path in environment.files():
            self._load_file(path)
        own = project.project_file()
        if own is not None and project.trusted(own):
            self._load_file(own)
        elif own is not None:
            self.notes.append(
                f"{own} is not loaded: code of a folder runs when you allow it, {project.TRUSTED}={own.parent}"
            )

    @property
    def registries(self) -> tuple[Registry, ...]:
        """The registries of all kinds."""
        found: tuple[Registry, ...] = tuple(getattr(self, plural) for plural in KINDS.values())
        return found

    @property
    def faults(self) -> list[Fault]:
        """Every fault met so far; `rerankit.plugins.inspection.all_faults` looks for more."""
        return [fault for info in self.plugins.values() for fault in info.faults]

    @property
    def unknown_names(self) -> list[str]:
        """A line for each name in the lists of the environment that is no plugin's name."""
        return [
            f"{variable} names '{name}', and there is no such plugin that can be left out"
            for variable in (environment.DISABLE, environment.ALLOW)
            for name in sorted(environment.listed(variable))
            if not any(_goes_by(info, name) for info in self.plugins.values())
        ]

    def owner(self, stage_name: str) -> str:
        """The plugin and distribution a stage comes from, as text; "unregistered" when it is not registered."""
        if stage_name not in self.stages:
            return "unregistered"
        entry = self.stages.entry(stage_name)
        return f"{entry.owner} ({entry.distribution})"

    def is_builtin(self, stage_name: str) -> bool:
        """Whether a stage of this name ships with rerankit."""
        return stage_name in self.stages and self.stages.entry(stage_name).owner == BUILTIN

    def register(self, plugin: Any, name: str, distribution: str = "this process") -> PluginInfo:
        """Register a plugin object (a module or anything with hook implementations) and what it offers.

        A fault leaves everything else working and is kept in the returned info.
        """
        if name in self.plugins:
            raise PluginError(f"a plugin named '{name}' is already loaded, from {self.plugins[name].distribution}")
        return self._load(name, distribution, lambda: plugin)

    def load_file(self, path: str | os.PathLike[str]) -> PluginInfo:
        """Load a one-file plugin; a broken one raises, and one that is loaded already is left as it is."""
        info = self._load_file(path)
        if info.status == "disabled":
            raise PluginError(f"plugin '{info.name}' is disabled by {environment.DISABLE}")
        if info.status == "failed":
            raise FaultError(info.faults[0]) from info.faults[0].cause
        for fault in info.faults:
            warnings.warn(str(fault), RerankitWarning, stacklevel=3)
        return info

    @property
    def observed(self) -> bool:
        """Whether there are observers of any event."""
        return bool(self._observed)

    def has_observers(self, kind: str) -> bool:
        """Whether there are observers of events of a kind."""
        return kind in self._observed

    def observe(self, event: Event) -> None:
        """Call the observers of an event; one that raises is reported and not called again."""
        hook = getattr(self._pluggy.hook, f"rerankit_{event.kind}")
        for implementation in reversed(hook.get_hookimpls()):  # the order in which pluggy calls
            name = implementation.plugin_name
            if name in self._muted:
                continue
            try:
                implementation.function(*[event for _ in implementation.argnames])
            except (Exception, SystemExit) as cause:
                self._muted.add(name)
                text = f"observing {event.kind}: {one_line(cause)}"
                fault = Fault(name, self.plugins[name].distribution, text, cause)
                self.plugins[name].faults.append(fault)
                warnings.warn(f"{fault}; it is not called again", RerankitWarning, stacklevel=2)

    def unregister(self, name: str) -> None:
        """Remove a plugin and everything it registered."""
        self._forget(name)
        self._muted.discard(name)
        self.plugins.pop(name, None)

    def _look_for_observers(self) -> None:
        """Note the kinds of events that somebody observes: every step of every query asks for it."""
        hooks = vars(self._pluggy.hook).items()
        kept = (name for name, caller in hooks if name.startswith("rerankit_") and caller.get_hookimpls())
        self._observed = frozenset(
            kind for name in kept if not (kind := name[len("rerankit_") :]).startswith("register_")
        )

    def _load_builtins(self) -> None:
        from rerankit import builtins

        info = self.register(builtins, BUILTIN, f"rerankit {__version__}")
        if info.faults:  # our own fault, never to be passed over
            raise PluginError(str(info.faults[0]))

    def _load_entry_point(self, entry: metadata.EntryPoint) -> None:
        distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"
        taken = self.plugins.get(entry.name)
        if taken is not None and taken.distribution == distribution:
            return  # the same distribution can be visible twice, through two folders of the path
        key = entry.name if taken is None else f"{entry.name} ({distribution})"
        if environment.left_out(entry.name):
            self.plugins[key] = PluginInfo(entry.name, distribution, "disabled")
        elif taken is not None:
            text = f"its name is taken by the plugin of {taken.distribution}, which keeps it: nothing was loaded"
            fault = Fault(entry.name, distribution, text)
            self.plugins[key] = PluginInfo(entry.name, distribution, "failed", [fault])
        else:
            self._load(entry.name, distribution, lambda: _loaded(entry))

    def _load_file(self, path: str | os.PathLike[str]) -> PluginInfo:
        file = Path(path).expanduser().resolve()
        name = str(file)  # however its path is written, a file is one plugin
        known = self.plugins.get(name)
        if known is not None and known.status == "loaded":
            return known
        if any(environment.names_file(each, file) for each in environment.listed(environment.DISABLE)):
            info = self.plugins[name] = PluginInfo(name, FILE, "disabled")
            return info
        return self._load(name, FILE, lambda: inline.module_from(file))

    def _load(self, name: str, distribution: str, found: Callable[[], Any]) -> PluginInfo:
        """The one way in: find the plugin, check its hooks, collect what it registers; a fault leaves nothing."""
        info = self.plugins[name] = PluginInfo(name, distribution)
        registered = self._changes()
        try:
            with loading(f"plugin '{name}' ({distribution})") as printed:
                plugin = found()
                self._pluggy.register(plugin, name)
                self._look_for_observers()
                self._check_hooks(plugin)
                self._collect(plugin, info)
            texts = [*self._never_called(plugin, registered), *printed_faults(printed.text)]
            info.faults += [Fault(name, distribution, text) for text in texts]
        except (Exception, SystemExit) as cause:  # sys.exit() in a plugin must not end the program
            info.status = "failed"
            info.faults.append(Fault(name, distribution, one_line(cause), cause))
            self._forget(name)
        return info

    def _never_called(self, plugin: Any, registered: int) -> list[str]:
        """What keeps a plugin that loads without a fault from being called, ever."""
        marked = {hook: implementation.argnames for hook, implementation in self._implementations(plugin)}
        found = [
            f"'{hook}' is never called: put @rerankit.hookimpl above it"
            for hook in vars(spec)
            if hook.startswith("rerankit_") and hook not in marked and inspect.isroutine(getattr(plugin, hook, None))
        ]
        found += [
            f"'{hook}' must take an argument 'register', by which it registers"
            for hook, arguments in sorted(marked.items())
            if "_register_" in hook and "register" not in arguments
        ]
        if not marked and not found and self._changes() == registered:
            found.append("it has no hook, so it registers nothing: see docs/plugins.md")
        return found

    def _changes(self) -> int:
        return sum(registry.version for registry in self.registries)

    def _implementations(self, plugin: Any) -> list[tuple[str, pluggy.HookImpl]]:
        """A plugin's own implementations, by the name of their hook."""
        callers = self._pluggy.get_hookcallers(plugin) or []
        return [(each.name, one) for each in callers for one in each.get_hookimpls() if one.plugin is plugin]

    def _check_hooks(self, plugin: Any) -> None:
        for hook, implementation in self._implementations(plugin):
            if implementation.wrapper or implementation.hookwrapper:
                raise PluginError(f"'{hook}' is a wrapper, and there is nothing to wrap: hooks return nothing")
        try:
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as cause:
            known = [name for name in vars(spec) if name.startswith("rerankit_")]
            unknown = str(cause).partition("unknown hook '")[2].partition("'")[0]
            raise unknown_name("hook", unknown, known) from cause

    def _collect(self, plugin: Any, info: PluginInfo) -> None:
        others = [other for other in self._pluggy.get_plugins() if other is not plugin]
        for registry in self.registries:
            hook = f"rerankit_register_{KINDS[registry.kind]}"
            caller = self._pluggy.subset_hook_caller(hook, remove_plugins=others)
            caller(register=self._register_for(registry, info))

    def _register_for(self, registry: Registry, info: PluginInfo) -> spec.Register:
        def register(name: str, factory: Any, /) -> None:
            try:
                registry.add(name, factory, info.name, info.distribution)
            except PluginError as cause:  # the plugin's other names are still good
                info.faults.append(Fault(info.name, info.distribution, str(cause), cause))

        return register

    def _forget(self, name: str) -> None:
        if self._pluggy.has_plugin(name):
            self._pluggy.unregister(name=name)
            self._look_for_observers()
        for registry in self.registries:
            registry.drop(name)


def _loaded(entry: metadata.EntryPoint) -> Any:
    environment.check_version(entry.dist)
    return entry.load()


def _goes_by(info: PluginInfo, name: str) -> bool:
    if info.name == BUILTIN:  # it cannot be left out
        return False
    return name == info.name or (info.distribution == FILE and environment.names_file(name, Path(info.name)))
