"""The folder of a run: its plan, what is prepared, finished shards, and what went wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.engines import Done
from rerankit.errors import FormatError, InputError, rule
from rerankit.files import atomic, clear_leftovers, foreign, lock_folder, writing_to
from rerankit.formats import judgements
from rerankit.formats.content import Tables
from rerankit.formats.folder import FolderFormat
from rerankit.formats.run_shards import GIVEN, KIND, PLAN, SHARDS, blocks_of, check_shard, is_run, read_plan, shard_file
from rerankit.gallery import Gallery
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.ready import Ready
from rerankit.pipelines.ready_files import read_states, restored, write_states
from rerankit.problem import Problem
from rerankit.version import __version__

FAILED = "failed"
PREPARED, PARTS = "prepared", "preparing"
_SAID = {
    "queries": "another number of queries",
    "gallery": "another gallery's size",
    "k": "another k",
    "shard_size": "another shard_size",
    "data": "other data",
    "pipeline": "another pipeline, or other parameters of it",
    "rerankit": "another version of rerankit",
}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A block in which no other process can run into this folder, which is made where it is not there."""
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder)
    if lock is None:
        raise InputError(f"'{folder}' is in use by another run: wait for it, or name another folder")
    try:
        yield
    finally:
        lock.release()


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.path, self.durable = path, durable
        self.plan: dict[str, Any] = {}

    def begin(self, plan: dict[str, Any], problem: Problem, *, resume: bool) -> None:
        """Write the plan, or go on with the same one; damaged shards of a stopped run are worked on again."""
        self.plan = {"rerankit": __version__, "kind": KIND, **plan}
        if not is_run(self.path):
            self._check_empty()
            self._write(problem)
            return
        there = read_plan(self.path)
        if not resume:
            raise rule("out", "must be a new folder: this one holds a run, which resume=True goes on with", self.path)
        other = [text for name, text in _SAID.items() if there.get(name) != self.plan[name]]
        if other:
            raise InputError(f"'{self.path}' holds a run of {' and '.join(other)}: name another folder")
        self._clean()

    def _check_empty(self) -> None:
        found = next((name for name in sorted(os.listdir(self.path)) if not self._is_left(name)), None)
        if found is not None:
            raise rule("out", f"must be a new or empty folder (it has '{found}')", self.path)

    def _is_left(self, name: str) -> bool:
        """Whether something is what a run has left that was killed before it had a plan: it has no shards yet."""
        place = self.path / name
        if name in (GIVEN, SHARDS) and place.is_dir() and not place.is_symlink():
            return not any(foreign(place))
        return name.startswith(".rerankit-")

    def _write(self, problem: Problem) -> None:
        """The plan comes last: a folder with a plan is whole."""
        tables = Tables(kind=np.array("ranking"), **judgements.from_left_out(problem.excluded))
        for name in ("query_ids", "gallery_ids"):
            ids = getattr(problem, name)
            if ids is not None:
                tables[name] = ids.values
        with atomic(self.path / GIVEN, durable=self.durable) as temporary:
            FolderFormat().write(temporary, tables)
        (self.path / SHARDS).mkdir(exist_ok=True)
        with atomic(self.path / PLAN, durable=self.durable) as temporary:
            temporary.write_text(json.dumps(self.plan, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _clean(self) -> None:
        """Remove what a killed run has left, notes of failures, and shards that are not what was written."""
        for folder in (self.path, self.path / SHARDS):
            clear_leftovers(folder)
        for number, block in enumerate(blocks_of(self.plan)):
            self._failure(number).unlink(missing_ok=True)
            file = shard_file(self.path, number)
            if file.exists():
                try:
                    check_shard(file, block.stop - block.start)
                except FormatError:
                    file.unlink()

    @property
    def count(self) -> int:
        """The number of shards."""
        return len(blocks_of(self.plan))

    def missing(self) -> list[int]:
        """The shards that are not finished."""
        return [number for number in range(self.count) if not shard_file(self.path, number).is_file()]

    def prepared(self, pipeline: Pipeline, gallery: Gallery, make: Callable[[], Ready]) -> Ready:
        """What is prepared, from the folder where a stopped run has left it."""
        place = self.path / PREPARED
        if place.is_dir():
            with suppress(FormatError):
                return restored(pipeline, gallery, read_states(place))
        ready = make()
        with atomic(place, durable=self.durable) as temporary:
            temporary.mkdir()
            write_states(ready, temporary)
        shutil.rmtree(self.path / PARTS, ignore_errors=True)
        return ready

    def note_failure(self, done: Done) -> None:
        """Keep what went wrong, for `rerankit runs`."""
        with suppress(OSError):  # the disk may be full
            self._failure(done.task).parent.mkdir(exist_ok=True)
            self._failure(done.task).write_text(f"{done.error}\n", encoding="utf-8")

    def note_finished(self, done: Done) -> None:
        """Forget what went wrong before."""
        with suppress(OSError):
            self._failure(done.task).unlink()

    def _failure(self, number: int) -> Path:
        return self.path / FAILED / f"{number:05d}.txt"

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """A block at whose end, however it ends, what ended workers have left is removed."""
        try:
            yield
        finally:
            clear_leftovers(self.path / SHARDS)

    def check_whole(self) -> None:
        """Refuse to go on where a shard is not there."""
        missing = self.missing()
        if missing:
            raise FormatError(
                f"{self.path}: the engine said that all is done, and shard {missing[0]} is not there: do its workers "
                "see the same folder?"
            )

    def tables(self) -> Tables:
        """The named arrays of the finished ranking."""
        found = FolderFormat().read(self.path)
        assert isinstance(found, Tables), "it is the folder of a run"
        return found
