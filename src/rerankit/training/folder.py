"""The files of a run: checkpoint.pt, history.csv and, at the end, curves.png."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rerankit.errors import InputError
from rerankit.extras import absent
from rerankit.files import clear_leftovers, lock_folder
from rerankit.training import state
from rerankit.training.history import History

HISTORY, CURVES = "history.csv", "curves.png"


class Folder:
    """The folder a run is kept in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / state.CHECKPOINT

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A block in which no other process can train into this folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(self.path)
        if lock is None:
            raise InputError(
                f"'{self.path}' is being trained into by another process: wait for it, or take another folder"
            )
        try:
            yield
        finally:
            lock.release()

    def read(self, resume: bool, *, clear: bool) -> dict[str, Any] | None:
        """The checkpoint to go on from, if there is one; `clear` makes the folder and removes what a kill left."""
        if clear:
            self.path.mkdir(parents=True, exist_ok=True)
            clear_leftovers(self.path)
        if self.checkpoint.is_dir():
            raise InputError(f"'{self.checkpoint}' is a folder; a checkpoint file goes there")
        if not self.checkpoint.exists():
            self._check_new()
            return None
        found = state.load(self.checkpoint)
        return found if resume else None  # read even if not wanted: somebody else's file of this name stays

    def _check_new(self) -> None:
        """Refuse to write over files of a run where there is no run: they are somebody else's."""
        there = next((file for file in (self.path / HISTORY, self.path / CURVES) if os.path.lexists(file)), None)
        if there is not None:
            raise InputError(f"'{there}' is there without a checkpoint beside it, and stays: name another folder")

    def remove(self) -> None:
        """Forget a run; its checkpoint, which says whose the others are, goes last."""
        for name in (HISTORY, CURVES, state.CHECKPOINT):
            (self.path / name).unlink(missing_ok=True)

    def write(self, payload: dict[str, Any], history: History) -> None:
        """A new checkpoint and the history so far; the curves when the run is finished."""
        state.save(self.checkpoint, payload)
        self.record(history)

    def record(self, history: History) -> None:
        """What a reader wants to see next to the checkpoint: the history and, of a finished run, the curves."""
        history.to_csv(self.path / HISTORY)
        if not history.stopped or not history.rows:
            return
        if "matplotlib" in absent("report"):
            warnings.warn("curves.png is not drawn: pip install 'rerankit[report]'", stacklevel=2)
        else:
            history.plot(self.path / CURVES)
