"""Events of a run, and the one way long work says how far it is.

Observers are hooks (see `rerankit.plugins.spec`); nothing here prints. A plugin whose observer raises is
reported and not called again, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from rerankit.plugins import manager

if TYPE_CHECKING:
    from rerankit.ranking import Ranking

T = TypeVar("T")
Kind = Literal["run_started", "stage_started", "progress", "stage_finished", "run_finished", "run_failed"]


@dataclass(frozen=True)
class Event:
    """One thing that happened; fields that do not belong to its kind keep their defaults."""

    kind: Kind
    description: str
    """What is running: a pipeline, a stage, or a step of long work."""
    position: int = 0
    """Which stage of the pipeline, from 0."""
    completed: int = 0
    total: int | None = None
    note: str = ""
    """What changes while the work goes on, such as the latest figure of a training run."""
    seconds: float = 0.0
    ranking: Ranking | None = None
    """The result of a finished stage or run."""


def emit(event: Event) -> None:
    """Tell every observer."""
    manager().observe(event)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """The items, one after the other, with a progress event after each; free when nobody listens.

    >>> list(track("ab", "letters"))
    ['a', 'b']
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    for completed, item in enumerate(items):
        if completed == 0:
            emit(Event("progress", description, total=total))
        yield item
        emit(Event("progress", description, completed=completed + 1, total=total))
