"""A relation's own scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.arrays import FloatArray


@dataclass(frozen=True)
class Scale:
    """A relation's own scale: 0 is what the best is like, −1 the sixteenth best.

    >>> Scale.of(np.float32([[0.9, 0.5], [0.8, 0.4]])).apply(0.65)
    -0.5
    """

    best: float
    gap: float

    @classmethod
    def of(cls, *lists: FloatArray) -> Scale:
        """From lists of best scores (items, k), best first, −inf where there is none; the mean of several sides."""
        found = [_best_and_last(values[:, :16]) for values in lists]
        gap = float(np.mean([best - last for best, last in found]))
        return cls(float(np.mean([best for best, _ in found])), float(f"{gap:.6e}") or 1.0)

    def apply(self, scores: Any) -> Any:
        """Scores on this scale."""
        return (
            round((scores - self.best) / self.gap, 6) if isinstance(scores, float) else (scores - self.best) / self.gap
        )


def _best_and_last(values: FloatArray) -> tuple[float, float]:
    """Means of the best and of the last listed score of every item that has any."""
    some = np.isfinite(values[:, 0]) if values.shape[1] else np.zeros(len(values), bool)
    if not some.any():
        return 0.0, 0.0
    last = np.where(np.isfinite(values[some]), values[some], np.inf).min(axis=1)
    return float(values[some, 0].mean()), float(last.mean())
