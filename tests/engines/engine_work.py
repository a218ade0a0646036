"""Work for engines that other processes import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import Stage
from rerankit.cutting import in_parts, joined


@dataclass
class Note:
    """Writes a file for each task; what it does before is up to the subclass."""

    folder: Path
    array: Any = None

    def __call__(self, task: int) -> None:
        (self.folder / f"{task}-{os.getpid()}").write_text(str(0 if self.array is None else float(self.array.sum())))


def done_in(folder: Path) -> list[int]:
    """The tasks that were done, each as often as it was."""
    return sorted(int(file.name.split("-")[0]) for file in folder.glob("[0-9]*-*"))


class DiesOnce(Note):
    """Ends its worker the first time that it is asked for task 2."""

    def __call__(self, task: int) -> None:
        if task == 2 and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().__call__(task)


class Dies(Note):
    """Ends its worker whenever it is asked for task 1."""

    def __call__(self, task: int) -> None:
        if task == 1:
            os._exit(7)
        super().__call__(task)


class Fails(Note):
    """Cannot do task 1."""

    def __call__(self, task: int) -> None:
        if task == 1:
            raise ValueError("no such\nthing")
        super().__call__(task)


class Slow(Stage):
    """Takes a while for each query, and turns lists round."""

    name = "slow"

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds

    def rescore(self, problem, ranking):
        time.sleep(self.seconds * len(ranking))
        return -ranking.scores


class SlowlyPrepared(Stage):
    """Takes a while for each item that it prepares, and leaves the order as it is."""

    name = "slowly-prepared"

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds

    def rescore(self, problem, ranking):
        return ranking.scores

    def prepare(self, gallery):
        parts = in_parts("numbers", partial(_numbers, self.seconds), gallery.size)
        assert joined(parts, "numbers").tolist() == list(range(gallery.size))
        return super().prepare(gallery)

    def restored(self, gallery, state):
        return super().prepare(gallery)


def _numbers(seconds: float, some: slice) -> Any:
    time.sleep(seconds * (some.stop - some.start))
    return {"numbers": np.arange(some.start, some.stop)}
