"""Progress of a run for observers, with the validation figure in its description."""

from __future__ import annotations

from rerankit.events import Event, emit
from rerankit.training.state import Progress


class Reporter:
    """Emits a progress event for every step; a new figure ends the old line of progress and begins another."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.description = ""

    def report(self, progress: Progress) -> None:
        """Tell how far the run is."""
        description = self._describe(progress)
        if self.description and description != self.description:
            emit(Event("progress", self.description, completed=self.total, total=self.total))
        self.description = description
        completed = self.total if progress.finished else progress.step
        emit(Event("progress", description, completed=completed, total=self.total))

    def _describe(self, progress: Progress) -> str:
        figures = [
            (name.partition("/")[2], value)
            for row in progress.rows[-1:]
            for name, value in row.items()
            if name.startswith("validation/")
        ]
        if not figures or progress.best is None:
            return "training"
        name, value = figures[0]
        return f"training, {name} {value:.4g} (best {progress.best:.4g})"
