"""A registry: names, what they stand for, and who registered them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rerankit.errors import PluginError, unknown_name


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    name: str
    factory: Any
    """The thing itself, or ``"module.path:Name"``."""
    owner: str
    """The plugin that registered it."""

    def load(self) -> Any:
        """The registered thing, imported now when it was registered by its path."""
        if not isinstance(self.factory, str):
            return self.factory
        module, _, attribute = self.factory.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry:
    """Entries of one kind ("stage", "metric", …) by name."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, factory: Any, owner: str) -> None:
        """Register a name; one that is taken is refused and its first owner keeps it."""
        if not isinstance(name, str) or not name:
            raise PluginError(f"a {self.kind} must be registered under a text (got {name!r})")
        if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
            raise PluginError(f"{self.kind} '{name}' must be a callable or 'module.path:Name' (got {factory!r})")
        taken = self._entries.get(name)
        if taken is not None:
            raise PluginError(
                f"{self.kind} '{name}' is already registered by '{taken.owner}', which keeps it "
                f"('{owner}' registers it too)"
            )
        self._entries[name] = Entry(name, factory, owner)

    def drop(self, owner: str) -> None:
        """Forget everything an owner registered."""
        self._entries = {name: entry for name, entry in self._entries.items() if entry.owner != owner}

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
