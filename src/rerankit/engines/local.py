"""The local engine: this process, or several processes of this machine that map the same files."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from rerankit import checks, settings
from rerankit.engines.engine import Done, Engine, Work, attempt, final, is_passing
from rerankit.engines.sharing import dumps
from rerankit.engines.workers import Worker, first_of


class Local(Engine):
    """Tasks in this process, one after the other, each with all processors; or in `workers` processes, which share the
    processors and the memory budget. Answers are the same.

    >>> Local(workers=2)
    Local(workers=2)
    """

    name: ClassVar[str] = "local"

    def __init__(self, workers: int = 1) -> None:
        self.workers = checks.integer("workers", workers, least=1)
        self._idle: list[Worker] | None = None  # processes that wait for the next run, inside of `kept`

    @contextmanager
    def kept(self) -> Iterator[None]:
        if self._idle is not None:
            yield
            return
        self._idle = []
        try:
            yield
        finally:
            idle, self._idle = self._idle, None
            for worker in idle:
                worker.end()

    def run(self, work: Work, tasks: Sequence[int], *, shared: Path, retries: int) -> Iterator[Done]:
        if self.workers == 1:
            return (_tried(work, task, retries) for task in tasks)
        return self._in_processes(dumps(work, shared), deque(tasks), retries)

    def _in_processes(self, data: bytes, waiting: deque[int], retries: int) -> Iterator[Done]:
        tries: dict[int, int] = {}
        workers: list[Worker] = []
        try:
            for _ in range(min(self.workers, len(waiting))):
                workers.append(self._worker(data))
            while waiting or any(worker.task is not None for worker in workers):
                for place, worker in enumerate(workers):
                    if worker.dead:
                        worker.end()
                        workers[place] = worker = self._worker(data)
                    if worker.task is None and waiting:
                        worker.begin(waiting.popleft())
                done = first_of([worker for worker in workers if worker.task is not None])
                tries[done.task] = tries.get(done.task, 0) + 1
                if is_passing(done) and tries[done.task] <= retries:
                    waiting.append(done.task)
                else:
                    yield final(done, tries[done.task])
        finally:
            for worker in workers:
                if self._idle is None or worker.dead or worker.task is not None:
                    worker.end()
                else:
                    self._idle.append(worker)

    def _worker(self, data: bytes) -> Worker:
        """A process with its share of the machine, new or one that waits, which has the work."""
        worker = self._idle.pop() if self._idle else Worker(self._share())
        worker.prepare(data)
        return worker

    def _share(self) -> dict[str, str]:
        threads = str(max(1, (os.cpu_count() or 1) // self.workers))
        budget = str(max(1, settings.memory_budget() // self.workers))
        return {"RERANKIT_MEMORY_BUDGET": budget, **dict.fromkeys(_THREADS, threads)}

    def __repr__(self) -> str:
        return f"Local(workers={self.workers})"


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _tried(work: Work, task: int, retries: int) -> Done:
    done = attempt(work, task)
    tries = 1
    while is_passing(done) and tries <= retries:
        done, tries = attempt(work, task), tries + 1
    return final(done, tries)
