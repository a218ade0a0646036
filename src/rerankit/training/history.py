"""The record of a run: a row for every validation, as CSV and as a plot."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rerankit.errors import FormatError
from rerankit.files import atomic
from rerankit.plots import Theme, save

_FIXED = ("step", "epoch", "learning_rate", "loss")


@dataclass(repr=False)
class History:
    """Rows of a training run and which of them was best.

    A row maps "step", "epoch", "learning_rate" and "loss" (means since the row before), "loss/NAME" for every
    term and "validation/NAME" for every figure to numbers.

    >>> history = History([{"step": 10, "epoch": 1, "learning_rate": 0.1, "loss": 2.0, "validation/r1": 0.5}])
    >>> history.last("validation/r1"), history.best_step
    (0.5, None)
    >>> history
    History(1 row to step 10)
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    best_step: int | None = None
    stopped: str = ""

    def last(self, column: str) -> float:
        """The latest value of a column."""
        for row in reversed(self.rows):
            if column in row:
                return row[column]
        raise KeyError(column)

    @property
    def columns(self) -> list[str]:
        """All columns, the fixed ones first."""
        found = dict.fromkeys(_FIXED) | {name: None for row in self.rows for name in row}
        return list(found)

    @property
    def decides(self) -> str:
        """The name of the validation figure that decides which weights are best; empty without validation."""
        return next((name.partition("/")[2] for name in self.columns if name.startswith("validation/")), "")

    def __repr__(self) -> str:
        if not self.rows:
            return "History(no rows)"
        best = next((row for row in self.rows if row["step"] == self.best_step), None)
        count = f"{len(self.rows)} row{'s' * (len(self.rows) != 1)} to step {self.rows[-1]['step']:g}"
        figure = "" if best is None else f"; best at step {self.best_step}: {self.decides} {self._figure(best):.4g}"
        return f"History({count}{figure}{f'; {self.stopped}' if self.stopped else ''})"

    def _figure(self, row: Mapping[str, float]) -> float:
        return row[f"validation/{self.decides}"]

    def to_csv(self, path: str | Path) -> None:
        """Write the rows; an absent value is an empty cell."""
        with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)

    @classmethod
    def from_csv(cls, path: str | Path) -> History:
        """Read rows that `to_csv` wrote."""
        try:
            with Path(path).open(newline="", encoding="utf-8") as file:
                rows = [{k: float(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]
        except (ValueError, TypeError, AttributeError) as cause:
            raise FormatError(f"'{path}' is not a training history: {cause}") from cause
        return cls(rows)

    def plot(self, path: str | os.PathLike[str], theme: str = "light") -> Path:
        """Draw the loss terms, the figure that decides and the other validation figures over the steps."""
        return save(self.draw, path, (4.2 * len(self._panels()), 3.6), theme)

    def draw(self, figure: Any, theme: Theme, *, stacked: bool = False) -> None:
        """Draw the same into a matplotlib figure, the panels beside or below each other."""
        panels = self._panels()
        shape = (len(panels), 1) if stacked else (1, len(panels))
        panes = figure.subplots(*shape, squeeze=False).reshape(-1)
        for axes, (title, columns) in zip(panes, panels.items(), strict=True):
            for column in columns:
                points = [(row["step"], row[column]) for row in self.rows if column in row]
                axes.plot(
                    *zip(*points, strict=True), label=column.partition("/")[2] or "total", marker="o", markersize=3
                )
            axes.set(title=title, xlabel="step")
            if self.best_step is not None:
                axes.axvline(self.best_step, color=theme.muted, linewidth=1, linestyle=":")
            if len(columns) > 1:
                # Below the name of the axis, however high the panel is: the distance is in letters.
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4, ncols=2)

    def _panels(self) -> dict[str, list[str]]:
        """Titles of the panels, and the columns that each shows."""
        figures = [column for column in self.columns if column.startswith("validation/")]
        panels = {"loss": [column for column in self.columns if column.startswith("loss")]}
        if figures:  # apart from the others, beside whose range its ups and downs would not be seen
            panels[f"validation: {figures[0].partition('/')[2]}"] = figures[:1]
        if figures[1:]:
            panels["validation" if figures[2:] else f"validation: {figures[1].partition('/')[2]}"] = figures[1:]
        return panels
