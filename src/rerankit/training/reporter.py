"""Progress of a run for observers, with the validation figure as its note."""

from __future__ import annotations

from rerankit.events import emit
from rerankit.training.state import Progress


class Reporter:
    """Emits a progress event for every step, all of them about one piece of work."""

    def __init__(self, total: int) -> None:
        self.total = total

    def report(self, progress: Progress) -> None:
        """Say how far the run is."""
        completed = self.total if progress.finished else progress.step
        emit("progress", "training", completed=completed, total=self.total, note=_note(progress))


def _note(progress: Progress) -> str:
    """The latest value of the figure that decides, and the best so far."""
    figures = [
        (name.partition("/")[2], value)
        for row in progress.rows[-1:]
        for name, value in row.items()
        if name.startswith("validation/")
    ]
    if not figures or progress.best is None:
        return ""
    name, value = figures[0]
    return f"{name} {value:.4g} (best {progress.best:.4g})"
