"""The engine of Ray: shards are tasks of a cluster, whose machines see the same folders."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from rerankit import checks, settings
from rerankit.engines.engine import PASSING, Done, Engine, Work, attempt, final, is_passing
from rerankit.engines.sharing import dumps, loads
from rerankit.engines.worker import check_version, load_plugins
from rerankit.engines.workers import plugin_files
from rerankit.errors import InputError, RerankitError, rule
from rerankit.extras import require
from rerankit.settings import parse_bytes
from rerankit.version import __version__

_STARTS = 4  # Ray gives its own processes 30 seconds to come up, which on a busy machine are not enough
_AHEAD = 2  # tasks that are given out for each that can run, so that none waits for this process


class Ray(Engine):
    """Tasks on Ray: of the cluster at `address` ("auto" is that of this machine), or of one that is started here and
    ends with the program.

    `workers` is how many shards are worked on at once (None: as many as there are processors, divided by `cpus`),
    `cpus` what each takes, and `memory` what Ray sets aside for each. Data, and the folder of the run, must lie where
    all machines see them under one path.

    >>> Ray(workers=2)
    Ray(workers=2)
    """

    name: ClassVar[str] = "ray"

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        cpus: int = 1,
        memory: int | str | None = None,
    ) -> None:
        if address is not None and not isinstance(address, str):
            raise rule("address", "must be a text, such as 'auto' or 'ray://head:10001'", address)
        self.address = address
        self.workers = None if workers is None else checks.integer("workers", workers, least=1)
        self.cpus = checks.integer("cpus", cpus, least=1)
        self.memory = None if memory is None else parse_bytes(memory, "memory")
        self._kept = self._started = False  # inside of `kept`, and whether the Ray there is of this program's making

    @contextmanager
    def kept(self) -> Iterator[None]:
        if self._kept:
            yield
            return
        self._kept = True
        try:
            yield
        finally:
            self._kept = False
            if self._started:
                self._started = False
                require("ray", extra="ray").shutdown()

    def run(self, work: Work, tasks: Sequence[int], *, shared: Path, retries: int) -> Iterator[Done]:
        ray = require("ray", extra="ray", purpose="engine 'ray'")
        with self.kept():
            if not ray.is_initialized():
                self._connect(ray)
                self._started = True
            yield from _Tasks(ray, self, dumps(work, shared.absolute()), retries).run(deque(tasks))

    def _connect(self, ray: Any) -> None:
        here = {} if self.address else {"num_cpus": None if self.workers is None else self.workers * self.cpus}
        for left in reversed(range(_STARTS)):
            try:
                ray.init(address=self.address, include_dashboard=None if self.address else False, **_QUIET, **here)
                return
            except (ConnectionError, RuntimeError, ValueError) as cause:
                raise InputError(f"'address' leads to no Ray that answers (got {self.address!r}): {cause}") from cause
            except Exception as cause:  # Ray has no narrower one for processes of its own that are not up in time
                ray.shutdown()
                if not left:
                    raise RerankitError(f"Ray did not start in {_STARTS} tries: {_first_line(cause)}") from cause

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in ("address", "workers", "memory")}
        given |= {"cpus": self.cpus} if self.cpus != 1 else {}
        return f"Ray({', '.join(f'{name}={value!r}' for name, value in given.items() if value is not None)})"


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


class _Tasks:
    """The tasks of one run: as many are given out as can run, and a few more."""

    def __init__(self, ray: Any, engine: Ray, data: bytes, retries: int) -> None:
        self._ray, self._retries = ray, retries
        self._at_once = engine.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // engine.cpus)
        given = _stored(ray, (__version__, [path for path in sys.path if path], plugin_files(), data))
        budget = max(1, settings.memory_budget() // (1 if engine.address else self._at_once))
        options = {"num_cpus": engine.cpus, "max_retries": retries}
        options |= {} if engine.memory is None else {"memory": engine.memory}
        remote: Any = ray.remote(**options)(in_a_worker)
        self._give_out: Callable[[int], Any] = lambda task: remote.remote(given, task, budget)
        self._running: dict[Any, int] = {}

    def run(self, waiting: deque[int]) -> Iterator[Done]:
        tries: dict[int, int] = {}
        try:
            while waiting or self._running:
                while waiting and len(self._running) < self._at_once * _AHEAD:
                    task = waiting.popleft()
                    self._running[self._give_out(task)] = task
                [first], _ = self._ray.wait(list(self._running), num_returns=1)
                done = self._outcome(first, self._running.pop(first))
                tries[done.task] = tries.get(done.task, 0) + 1
                if is_passing(done) and tries[done.task] <= self._retries:
                    waiting.append(done.task)
                else:
                    yield final(done, tries[done.task])
        finally:
            for each in self._running:
                self._ray.cancel(each, force=True)

    def _outcome(self, found: Any, task: int) -> Done:
        """What became of a task; one whose workers died again and again was tried by Ray as often as it may be."""
        try:
            done = self._ray.get(found)
        except self._ray.exceptions.RayError as cause:
            text = f"its worker was lost {self._retries + 1} times: {type(cause).__name__}: {_first_line(cause)}"
            return Done(task, error=text)
        if isinstance(done, str):
            raise InputError(done)
        assert isinstance(done, Done), "workers answer so"
        return done


def in_a_worker(given: tuple[str, list[str], list[str], bytes], task: int, budget: int) -> Done | str:
    """One task, in a process of Ray's."""
    version, paths, plugins, data = given
    sys.path += [path for path in paths if path not in sys.path]  # where the program finds its modules
    try:
        check_version(version)
        load_plugins(plugins)
        work = _known(data)
    except OSError as cause:
        return Done(task, error=f"{PASSING}{type(cause).__name__}: {cause}")
    except Exception as cause:
        return f"a worker cannot begin: {type(cause).__name__}: {_first_line(cause)}"
    with settings.using(memory_budget=budget):
        return attempt(work, task)


def _stored(ray: Any, given: tuple[str, list[str], list[str], bytes]) -> Any:
    """What all tasks are given, in Ray's object store."""
    try:
        return ray.put(given)
    except ray.exceptions.RayError as cause:
        raise InputError(
            f"Ray's object store has no room for the work ({len(given[-1]):,} bytes): {_first_line(cause)}. Let go of "
            "what else it holds, or give it more memory, or a larger disk to spill to"
        ) from cause


_LAST: list[tuple[bytes, Work]] = []
"""The work of the last task of this process, which the next one most likely has, too."""


def _known(data: bytes) -> Work:
    if not _LAST or _LAST[0][0] != data:
        _LAST[:] = [(data, loads(data))]
    return _LAST[0][1]


def _first_line(cause: BaseException) -> str:
    return next(iter(str(cause).strip().splitlines()), "")
