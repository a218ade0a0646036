"""Progress bars, drawn on stderr from the observer hooks, only while somebody asked for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rerankit.plugins.markers import hookimpl

if TYPE_CHECKING:
    from rerankit.events import Event

NAME = "progress bars"
_DELAY = 0.4
"""Seconds that work inside other work must have taken before it gets a bar of its own: shorter ones only flicker."""

_drawn: list[Any] = []
"""The display that is on the screen, if one is."""


@contextmanager
def progress(shown: bool = True) -> Iterator[None]:
    """Draw progress bars for everything that runs inside the block; on stderr, so that output stays clean.

    >>> import rerankit
    >>> with rerankit.progress():
    ...     ranking = rerankit.rerank([[0.1, 0.9], [0.7, 0.1]], "mutual-rank")
    """
    if not shown or _drawn:
        yield
        return
    from rerankit.plugins import manager

    with _display() as display:
        _drawn.append(display)
        manager().register(Bars(display), NAME, "rerankit")
        try:
            yield
        finally:
            manager().unregister(NAME)
            _drawn.clear()


@contextmanager
def aside() -> Iterator[None]:
    """Take the bars off the screen while something else is written to it."""
    for display in _drawn:
        display.stop()
    try:
        yield
    finally:
        for display in _drawn:
            display.start()


@dataclass
class _Row:
    """A piece of work: when it began, and its bar once it has one."""

    began: float
    task: Any = None


class Bars:
    """An observer that draws a bar for each tracked piece of work that is running."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._rows: dict[str, _Row] = {}
        self._inside: list[tuple[str, ...]] = []
        """What was running when each unfinished run and stage began."""

    @hookimpl
    def rerankit_progress(self, event: Event) -> None:
        """Move a bar, and take it away at its end."""
        row = self._rows.setdefault(event.description, _Row(time.monotonic()))
        if event.total is not None and event.completed >= event.total:
            self._drop(event.description)
            return
        if row.task is None and (self._alone() or time.monotonic() - row.began > _DELAY):
            row.task = self._add(event.description, event.total)
        if row.task is not None:
            self._display.update(row.task, completed=event.completed, note=event.note, count=_count(event))

    @hookimpl
    def rerankit_run_started(self) -> None:
        """Remember what was running before."""
        self._inside.append(tuple(self._rows))

    @hookimpl
    def rerankit_stage_started(self, event: Event) -> None:
        """Show which stage is running."""
        self._inside.append(tuple(self._rows))
        place = f"{event.position + 1}/{event.total} " if event.total is not None and event.total > 1 else ""
        description = f"{place}{event.description}"
        self._rows[description] = _Row(time.monotonic(), self._add(description, None))

    @hookimpl
    def rerankit_stage_finished(self) -> None:
        """Take the stage's line away, with bars that its loops left unfinished."""
        self._back()

    @hookimpl
    def rerankit_run_finished(self) -> None:
        """The same for all that a run began."""
        self._back()

    @hookimpl
    def rerankit_run_failed(self) -> None:
        """The same; the stage that failed has not finished."""
        self._back()
        self._back()

    def _back(self) -> None:
        before = self._inside.pop() if self._inside else ()
        for description in [name for name in self._rows if name not in before]:
            self._drop(description)

    def _alone(self) -> bool:
        return all(row.task is None for row in self._rows.values())

    def _add(self, description: str, total: int | None) -> Any:
        from rich.markup import escape

        return self._display.add_task(escape(description), total=total, note="", count="")

    def _drop(self, description: str) -> None:
        row = self._rows.pop(description, None)
        if row is not None and row.task is not None:
            self._display.remove_task(row.task)


def _count(event: Event) -> str:
    return "" if event.total is None else f"{event.completed:,}/{event.total:,}"


def _display() -> Any:
    """Bars that leave no trace; the description gives way before the figures do."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    name = Column(ratio=3, no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", table_column=name),
        BarColumn(bar_width=None, table_column=Column(ratio=2)),
        TextColumn("{task.fields[count]}", justify="right"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
