"""The plugin manager of this process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from rerankit.plugins.manager import Manager, PluginInfo

if TYPE_CHECKING:
    pass


class _Current:
    """The manager of this process. A plugin may ask for it while it is loaded, from the thread that loads it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.manager: Manager | None = None
        self.ready = False

    def get(self) -> Manager:
        if self.ready and self.manager is not None:
            return self.manager
        with self.lock:
            if self.manager is None:
                self._make()
            assert self.manager is not None
            return self.manager

    def _make(self) -> None:
        self.manager = Manager()
        try:
            self.manager.discover()
            self.ready = True
        finally:
            if not self.ready:
                self.manager = None

    def forget(self) -> None:
        with self.lock:
            self.manager, self.ready = None, False


_current = _Current()


def manager() -> Manager:
    """The manager of this process; plugins are found when it is first asked for."""
    return _current.get()


def load_plugin(path: str | os.PathLike[str]) -> PluginInfo:
    """Load a one-file plugin into this process; a broken one raises."""
    return manager().load_file(path)


def reset() -> None:
    """Forget the manager, so that the next use finds plugins again (for tests and long-lived processes)."""
    _current.forget()
