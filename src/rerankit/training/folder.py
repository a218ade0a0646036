"""The files of a run: checkpoint.pt, history.csv and, at the end, curves.png."""

from __future__ import annotations

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
        found = state.load(self.checkpoint) if self.checkpoint.exists() else None
        return found if resume else None  # read even if not wanted: somebody else's file of this name stays

    def write(self, payload: dict[str, Any], history: History) -> None:
        """A new checkpoint and the history so far; the curves when the run is finished."""
        state.save(self.checkpoint, payload)
        self.record(history)

    def record(self, history: History) -> None:
        """What a reader wants to see beside the checkpoint: the history and, of a finished run, the curves."""
        history.to_csv(self.path / "history.csv")
        if not history.stopped or not history.rows:
            return
        if "matplotlib" in absent("report"):
            warnings.warn("curves.png is not drawn: pip install 'rerankit[report]'", stacklevel=2)
        else:
            history.plot(self.path / "curves.png")
