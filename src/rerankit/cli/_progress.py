"""Progress bars, drawn from the observer hooks and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rerankit.plugins.markers import hookimpl

if TYPE_CHECKING:
    from rerankit.events import Event

NAME = "progress bars of the command line"


class Bars:
    """An observer that draws one bar for each tracked loop that is running."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._rows: dict[str, Any] = {}

    @hookimpl
    def rerankit_progress(self, event: Event) -> None:
        """Move a bar, and take it away at its end."""
        row = self._rows.get(event.description)
        if row is None:
            row = self._rows[event.description] = self._progress.add_task(_shown(event.description), total=event.total)
        self._progress.update(row, completed=event.completed)
        if event.total is not None and event.completed >= event.total:
            self._progress.remove_task(self._rows.pop(event.description))

    @hookimpl
    def rerankit_stage_started(self, event: Event) -> None:
        """Show which stage is running."""
        if event.total is not None:
            text = _shown(f"{event.position + 1}/{event.total} {event.description}")
            self._rows[event.kind] = self._progress.add_task(text)

    @hookimpl
    def rerankit_stage_finished(self) -> None:
        """Take the stage's line away, with bars that its loops left unfinished."""
        for row in self._rows.values():
            self._progress.remove_task(row)
        self._rows.clear()


def _shown(text: str) -> str:
    """The text as it is: a list in a stage's parameters is no markup."""
    from rich.markup import escape

    return escape(text)


@contextmanager
def bars() -> Iterator[None]:
    """Draw a bar for each tracked loop while the block runs; nothing at all when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress

    from rerankit.plugins import manager

    with Progress(console=Console(stderr=True), transient=True) as progress:
        manager().register(Bars(progress), NAME, "rerankit")
        try:
            yield
        finally:
            manager().unregister(NAME)
