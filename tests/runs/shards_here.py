"""An engine that works off shards in this process, and sums kept apart as they are where there are many items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rerankit.engines import Done, Engine
from rerankit.stages.hubness import claims, passes


class Here(Engine):
    """Tasks in another order; how many there were is counted, and after `most` of them it is stopped."""

    name = "here"

    def __init__(self, most: int | None = None) -> None:
        self.most, self.done = most, 0

    def run(self, work: Callable[[int], object], tasks: Sequence[int], *, shared: Path, retries: int) -> Iterator[Done]:
        for task in sorted(tasks, reverse=True):
            if self.done == self.most:
                raise KeyboardInterrupt
            work(task)
            self.done += 1
            yield Done(task)


def with_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sums of rows be kept apart in groups of few rows."""
    monkeypatch.setattr(passes, "_piece_of", lambda columns, piece_bytes: 2)
    for module in (passes, claims):
        monkeypatch.setattr(module, "run_of", lambda columns, piece_bytes=0: 4)
