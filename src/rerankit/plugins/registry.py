"""A registry: names, what they stand for, and who registered them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rerankit.errors import InputError, MissingExtraError, PluginError, RerankitError, unknown_name
from rerankit.extras import explained
from rerankit.plugins.faults import Fault, FaultError, one_line
from rerankit.plugins.kinds import check_factory, check_made
from rerankit.plugins.loading import loading


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    kind: str
    name: str
    factory: Any
    """The thing itself, or ``"module.path:Name"``."""
    owner: str
    """The plugin that registered it."""
    distribution: str
    """Where that plugin comes from."""

    def load(self) -> Any:
        """The registered thing, imported now when it was registered by its path; a fault names the plugin."""
        return self._imported if isinstance(self.factory, str) else self.factory

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        return tuple(inspect.signature(self.load()).parameters)

    @cached_property
    def _imported(self) -> Any:
        module, _, attribute = self.factory.partition(":")
        try:
            with loading(f"{self.kind} '{self.name}' of {self.source}"):
                thing = getattr(importlib.import_module(module), attribute)
            check_factory(self.kind, self.name, thing)
        except (Exception, SystemExit) as cause:
            raise self.broken("does not load", cause) from cause
        return thing

    def make(self, **params: Any) -> Any:
        """What the registered factory makes; an error that is not one of rerankit's names the plugin."""
        factory = self.load()
        with self.blamed("cannot be made"):
            made = factory(**params)
        try:
            check_made(self.kind, self.name, made)
        except PluginError as cause:
            raise FaultError(Fault(self.owner, self.distribution, str(cause), cause)) from cause
        return made

    def check_parameters(self, params: Mapping[str, Any]) -> None:
        """Refuse parameters that the factory does not have, naming those that it has."""
        factory = self.load()
        try:
            inspect.signature(factory).bind(**params)
        except TypeError as cause:
            known = ", ".join(self.parameters) or "none"
            raise InputError(f"{self.kind} '{self.name}': {cause} (its parameters: {known})") from cause

    @property
    def source(self) -> str:
        """Who registered it, as text."""
        return f"plugin '{self.owner}' ({self.distribution})"

    @contextmanager
    def blamed(self, what: str) -> Iterator[None]:
        """A block of a plugin's code: errors name the plugin, but for rerankit's own, which say what is wrong."""
        try:
            yield
        except (Exception, SystemExit) as cause:
            if isinstance(cause, RerankitError):
                raise
            raise self.broken(what, cause) from cause

    def broken(self, what: str, cause: BaseException) -> RerankitError:
        """The error that names the plugin for what its code raised, or the absent package that it asked for."""
        absent = explained(cause, f"{self.kind} '{self.name}'") if isinstance(cause, ImportError) else None
        if absent or isinstance(cause, MissingExtraError):
            return absent or cause  # type: ignore[return-value]  # an absent package is no fault
        return FaultError(self.fault(f"{what}: {one_line(cause)}", cause))

    def fault(self, text: str, cause: BaseException | None = None) -> Fault:
        """What is wrong with it, as a fault of the plugin."""
        return Fault(self.owner, self.distribution, f"{self.kind} '{self.name}' {text}", cause)


class Registry:
    """Entries of one kind ("stage", "metric", …) by name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.version = 0
        """Another number after every change, for those who keep what they made of the entries."""
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, factory: Any, owner: str, distribution: str = "this process") -> None:
        """Register a name; one that is taken is refused and its first owner keeps it."""
        if not isinstance(name, str) or not name:
            raise PluginError(f"a {self.kind} must be registered under a text (got {name!r})")
        if not (isinstance(factory, str) and all(factory.partition(":"))):
            check_factory(self.kind, name, factory)
        taken = self._entries.get(name)
        if taken is not None:
            raise PluginError(
                f"{self.kind} '{name}' is already registered by '{taken.owner}' ({taken.distribution}), "
                f"which keeps it ('{owner}' ({distribution}) registers it too)"
            )
        self._entries[name] = Entry(self.kind, name, factory, owner, distribution)
        self.version += 1

    def drop(self, owner: str) -> None:
        """Forget everything an owner registered."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.owner != owner}
        self.version += 1

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries in the order in which they were registered."""
        return tuple(self._entries.values())

    def entry(self, name: str) -> Entry:
        """The entry of a name; an unknown name raises with the choices and the nearest one."""
        if name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def __getitem__(self, name: str) -> Any:
        return self.entry(name).load()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
