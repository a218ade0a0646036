"""Events of a run, and the one way long work says how far it is.

Observers are hooks (see `rerankit.plugins.spec`); nothing here prints. A plugin whose observer raises is
reported and not called again, and the run goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from rerankit.plugins import manager
from rerankit.scoped import set_to

if TYPE_CHECKING:
    from rerankit.pipelines.pipeline import Pipeline
    from rerankit.pipelines.stage import Stage
    from rerankit.ranking import Ranking

T = TypeVar("T")
Kind = Literal[
    "run_started", "stage_started", "progress", "stage_finished", "run_finished", "run_failed",
    "fit_started", "fit_finished", "fit_failed", "evaluated", "result", "tuned",
]  # fmt: skip


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
    """How long it took, without the time that observers took meanwhile."""
    ranking: Ranking | None = None
    """The result of a finished stage or run."""
    outcome: Any = None
    """What came of an evaluation (`Evaluation`), a benchmark (`rerankit.bench.Result`) or a search for parameters."""
    run: str = ""
    """An id that the events of one run of a pipeline share; of a pipeline inside another, its own."""
    pipeline: Pipeline | None = None
    stage: Stage | None = None
    """The stage that runs or is fitted."""
    task: str = ""
    """The benchmark that is run, and which part of it."""
    part: str = ""


_where: ContextVar[Mapping[str, Any] | None] = ContextVar("where", default=None)
"""What the events have in common that are emitted here."""


class _Observing(threading.local):
    """Seconds of this thread that observers have taken so far, and whether they are being called."""

    seconds = 0.0
    now = False


_observing = _Observing()


def within(**where: Any) -> AbstractContextManager[None]:
    """Give the events that are emitted inside a run, a stage, a pipeline, a task or a part."""
    return set_to(_where, {**(_where.get() or {}), **where})


def emit(kind: Kind, description: str, *, inside: Mapping[str, Any] | None = None, **fields: Any) -> None:
    """Hand every observer an event of these fields, of those in `inside` and of those that `within` gives."""
    if not manager().has_observers(kind):
        return
    event = Event(kind, description, **{**fields, **(_where.get() or {}), **(inside or {})})
    if _observing.now:  # an observer that runs something: the time is counted already
        manager().observe(event)
        return
    start, _observing.now = time.perf_counter(), True
    try:
        manager().observe(event)
    finally:
        _observing.now = False
        _observing.seconds += time.perf_counter() - start


class Stopwatch:
    """Seconds since it was made, without those that observers took."""

    def __init__(self) -> None:
        self._start = time.perf_counter() - _observing.seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - _observing.seconds - self._start


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """The items, one after the other, with a progress event after each; free where there is no observer.

    >>> list(track("ab", "letters"))
    ['a', 'b']
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    for completed, item in enumerate(items):
        if completed == 0:
            emit("progress", description, total=total)
        yield item
        emit("progress", description, completed=completed + 1, total=total)
