"""The record of a run: a row for every validation, as CSV and as a plot."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import atomic

_FIXED = ("step", "epoch", "learning_rate", "loss")


@dataclass
class History:
    """Rows of a training run and which of them was best.

    A row maps "step", "epoch", "learning_rate" and "loss" (means since the row before), "loss/NAME" for every
    term and "validation/NAME" for every figure to numbers.

    >>> history = History([{"step": 10, "epoch": 1, "learning_rate": 0.1, "loss": 2.0, "validation/r1": 0.5}])
    >>> history.last("validation/r1"), history.best_step
    (0.5, None)
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

    def plot(self, path: str | Path) -> None:
        """Draw the loss terms, the figure that decides and the other validation figures over the steps."""
        require("matplotlib", extra="report", purpose="a plot of the curves")
        from matplotlib.figure import Figure

        figures = [column for column in self.columns if column.startswith("validation/")]
        panels = {"loss": [column for column in self.columns if column.startswith("loss")]}
        if figures:  # apart from the others, beside whose range its ups and downs would not be seen
            panels[f"validation: {figures[0].partition('/')[2]}"] = figures[:1]
        if figures[1:]:
            panels["validation"] = figures[1:]
        figure = Figure(figsize=(4.5 * len(panels), 4), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (title, columns) in zip(axes, panels.items(), strict=True):
            self._draw(axis, columns, title)
        with atomic(path) as temporary:
            figure.savefig(temporary, dpi=110)

    def _draw(self, axis: Any, columns: list[str], title: str) -> None:
        for column in columns:
            points = [(row["step"], row[column]) for row in self.rows if column in row]
            axis.plot(*zip(*points, strict=True), label=column.partition("/")[2] or "total", marker=".")
        axis.set(title=title, xlabel="step")
        if self.best_step is not None:
            axis.axvline(self.best_step, color="grey", linewidth=0.8, linestyle=":")
        if len(columns) > 1:
            axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
