"""Whether queries, gallery and bank still belong together: how often answers change, and how uneven they are."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import numpy as np

from rerankit.arrays import IntArray
from rerankit.metrics.hubness import DEPTH, skewness
from rerankit.ranking import Ranking

LATEST = 10_000
"""Answers that are looked back on."""


class Drift:
    """Counts answers, those whose first item is not that of the search in front, and items among the latest answers.

    >>> drift = Drift(items=3)
    >>> first = Ranking([[0, 1]], [[2.0, 1.0]], gallery_size=3)
    >>> drift.add(first, first.with_scores([[1.0, 2.0]]))
    >>> drift.state()["answers"], drift.state()["changed"]
    (1, 1)
    """

    def __init__(self, items: int, latest: int = LATEST) -> None:
        self._lock = threading.Lock()
        self._counts = np.zeros(items, np.int64)
        self._latest: deque[IntArray] = deque()
        self._most = latest
        self._answers = self._changed = 0

    def add(self, first: Ranking, answer: Ranking) -> None:
        """Take in the answers of some queries, and what the search had found."""
        some = first.mask.any(axis=1)
        changed = int(np.count_nonzero(some & (first.indices[:, 0] != answer.indices[:, 0]))) if some.any() else 0
        with self._lock:
            self._answers += len(answer)
            self._changed += changed
            for row in answer.indices[:, :DEPTH]:
                listed = row[row >= 0]
                self._counts[listed] += 1
                self._latest.append(listed)
                if len(self._latest) > self._most:
                    self._counts[self._latest.popleft()] -= 1

    def state(self) -> dict[str, Any]:
        """The numbers, as JSON takes them."""
        with self._lock:
            numbers = {"answers": self._answers, "changed": self._changed, "watched": len(self._latest)}
            return numbers | {"skewness": skewness(self._counts)}
