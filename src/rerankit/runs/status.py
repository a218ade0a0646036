"""What is finished of the runs in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rerankit.errors import InputError
from rerankit.files import lock_folder
from rerankit.formats.run_shards import blocks_of, is_run, read_plan, shard_file
from rerankit.runs.folder import FAILED


@dataclass(frozen=True)
class Status:
    """How far a run is."""

    folder: Path
    stages: tuple[str, ...]
    queries: int
    k: int | None
    shards: int
    finished: int
    failed: dict[int, str]
    """What went wrong, by shard."""
    missing: tuple[int, ...]
    """Shards that are neither finished nor failed."""
    running: bool

    @property
    def state(self) -> str:
        """ "finished", "running", "failed" or "stopped"."""
        if self.finished == self.shards:
            return "finished"
        if self.running:
            return "running"
        return "failed" if self.failed else "stopped"


def runs_in(folder: Path) -> list[Status]:
    """The run of a folder, or those of the folders in it."""
    if not folder.is_dir():
        raise InputError(f"'{folder}' must be a folder with runs")
    found = [status_of(place) for place in _places(folder)]
    if not found:
        raise InputError(f"'{folder}' holds no run: rerankit.rerank(…, out=FOLDER) or rerankit rerank … --engine local")
    return found


def _places(folder: Path) -> Iterator[Path]:
    if is_run(folder):
        yield folder
        return
    yield from (place for place in sorted(folder.iterdir()) if place.is_dir() and is_run(place))


def status_of(folder: Path) -> Status:
    """How far the run of a folder is."""
    plan = read_plan(folder)
    count = len(blocks_of(plan))
    finished = {number for number in range(count) if shard_file(folder, number).is_file()}
    failed = {
        number: file.read_text(encoding="utf-8").strip()
        for number in range(count)
        if number not in finished and (file := folder / FAILED / f"{number:05d}.txt").is_file()
    }
    lock = lock_folder(folder)
    if lock is not None:
        lock.release()
    return Status(
        folder,
        tuple(plan.get("stages", ())),
        plan["queries"],
        plan.get("k"),
        count,
        len(finished),
        failed,
        tuple(number for number in range(count) if number not in finished and number not in failed),
        lock is None,
    )
