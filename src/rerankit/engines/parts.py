"""Work that is cut into shards for an engine, each of which becomes a file."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from rerankit.cutting import NamedArrays, Work
from rerankit.engines.engine import Done, Engine
from rerankit.engines.engine import Work as Task
from rerankit.errors import FormatError, StageError
from rerankit.events import emit
from rerankit.files import Scratch, atomic, clear_leftovers
from rerankit.formats.safetensors import write_tensors
from rerankit.reading.safetensors_file import map_tensors, read_tensors


class Parts:
    """Cuts each piece of work into `shards`, as evenly as it allows, and has them done on an engine.

    Every shard becomes a file of `folder`, in a folder for each piece of work; what is there already, whole, is not
    worked on again. Work that makes one shard is done here.
    """

    def __init__(self, engine: Engine, folder: Path, shards: int, *, retries: int, durable: bool = True) -> None:
        self.engine, self.folder, self.shards = engine, folder, shards
        self.retries, self.durable, self._begun = retries, durable, 0

    def __call__(self, name: str, work: Work, count: int, unit: int) -> list[NamedArrays]:
        place = self.folder / f"{self._begun:03d}-{name}"
        self._begun += 1
        blocks = _blocks(count, unit, self.shards)
        if len(blocks) < 2:
            return [work(slice(0, count))]
        place.mkdir(parents=True, exist_ok=True)
        clear_leftovers(place)
        shard = Shard(work, tuple(blocks), place.absolute(), self.durable)
        missing = [number for number in range(len(blocks)) if not _is_whole(shard.file(number))]
        try:
            self._work_off(shard, missing, name)
        finally:
            clear_leftovers(place)
        return [map_tensors(shard.file(number)) for number in range(len(blocks))]

    def _work_off(self, shard: Shard, missing: Sequence[int], name: str) -> None:
        total = len(shard.blocks)
        answers = done_on(self.engine, shard, missing, self.folder, f"{name}, in shards", total, self.retries)
        with closing(answers):
            for done in answers:
                if done.error is not None:
                    raise StageError(
                        f"shard {done.task} of {total} of '{name}' failed{times(done.tries)}: {done.error} "
                        "(finished shards stay where a folder was given)"
                    )


def done_on(
    engine: Engine, work: Task, missing: Sequence[int], folder: Path, title: str, total: int, retries: int
) -> Generator[Done, None, None]:
    """Every task of `missing` when it is done, with the progress among all `total`; arrays that workers share lie in
    `folder` meanwhile.
    """
    finished = total - len(missing)
    emit("progress", title, completed=finished, total=total)
    if not missing:
        return
    with Scratch(folder) as scratch:
        found = engine.run(work, missing, shared=scratch.path / "shared", retries=retries)
        with closing(_iterator(found)) as answers:
            for done in answers:
                yield done
                finished += 1
                emit("progress", title, completed=finished, total=total)


def times(tries: int) -> str:
    """How often something was tried, where it was more than once."""
    return f" {tries} times" if tries > 1 else ""


@dataclass(frozen=True)
class Shard:
    """The work of one shard: a slice is worked on, and its arrays are moved into place."""

    work: Work
    blocks: tuple[slice, ...]
    folder: Path
    durable: bool
    """Whether a shard is waited for until it is on the disk."""

    def __call__(self, number: int) -> None:
        found = self.work(self.blocks[number])
        with atomic(self.file(number), durable=self.durable) as temporary:
            write_tensors(temporary, {name: np.ascontiguousarray(array) for name, array in found.items()})

    def file(self, number: int) -> Path:
        """Where a shard lies."""
        return self.folder / f"{number:05d}.safetensors"


def _blocks(count: int, unit: int, shards: int) -> list[slice]:
    """At most so many slices of `range(count)`, nearly equal, whose borders are multiples of `unit`."""
    units = -(-count // unit)
    parts = max(1, min(shards, units))
    borders = [min(count, unit * (units * part // parts)) for part in range(parts)] + [count]
    return [slice(start, stop) for start, stop in pairwise(borders)]


def _is_whole(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        read_tensors(file)
    except FormatError:
        file.unlink()
        return False
    return True


def _iterator(found: Iterator[Done]) -> Generator[Done, None, None]:
    """The answers as a generator, which can be closed."""
    yield from found
