"""sequence: a place is one where the frames before and after fit too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit import Looks, Problem, Ranking, Stage, checks
from rerankit.errors import InputError, rule
from rerankit.scores import blocks


class Sequence(Stage):
    """Score a pair of frames by the mean over pairs of frames around them, at the best of some speeds.

    The feature `sequence` of both sides has two numbers for each picture: which drive it is of, and its frame there.
    `radius` frames before and after count (`past` alone: those before, as while driving); frames that a drive does not
    have are left out of the mean. `speeds` say how many frames of the gallery pass while one of the query does.
    The answer for a frame looks at the other frames of its drive, which are queries, too.

    >>> from rerankit import Problem, rerank
    >>> drives = {"sequence": [[0, 0], [0, 1], [0, 2]]}
    >>> scores = [[0.9, 0.1, 0.1], [0.6, 0.5, 0.1], [0.1, 0.1, 0.9]]
    >>> problem = Problem(scores, query_features=drives, gallery_features=drives)
    >>> rerank(problem, Sequence(radius=1), k=3).indices[1]
    array([1, 0, 2])
    """

    name = "sequence"
    citation = "Milford & Wyeth, SeqSLAM (ICRA 2012)"
    needs = ("query_features:sequence", "gallery_features:sequence", "complete_scores")

    def __init__(self, radius: int = 5, past: bool = False, speeds: Any = (0.8, 1.0, 1.25)) -> None:
        self.radius = checks.integer("radius", radius, least=1)
        self.past = checks.boolean("past", past)
        if isinstance(speeds, str) or not len(list(speeds)):
            raise rule("speeds", "must be a list of numbers", speeds)
        for speed in speeds:
            checks.number("speeds", speed)
        self.speeds = speeds

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return super().looks_at(problem) | Looks(queries=True)

    def rescore(self, problem: Problem, ranking: Ranking) -> NDArray[np.float32]:
        queries = Frames(problem.query_features["sequence"], "query")
        gallery = Frames(problem.gallery_features["sequence"], "gallery")
        around = np.arange(-self.radius, 1 if self.past else self.radius + 1)
        scores = np.empty(ranking.shape, np.float32)
        for rows in blocks(len(ranking), row_bytes=40 * ranking.shape[1] * len(around)):
            here = queries.moved(np.arange(rows.start, rows.stop), around)[:, None, :]  # (block, 1, T)
            items = np.where(ranking.mask[rows], ranking.indices[rows], 0)
            best = [self._mean(problem, here, gallery.moved(items, around * speed)) for speed in self.speeds]
            scores[rows] = np.max(best, axis=0)
        return scores

    def _mean(self, problem: Problem, here: NDArray[np.int64], there: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean scores (block, K) of pairs of frames (block, 1, T) and (block, K, T), of those that are there."""
        known = (here >= 0) & (there >= 0)
        pairs = problem.scores.pairs(np.broadcast_to(np.maximum(here, 0), there.shape), np.maximum(there, 0))
        total: NDArray[np.float64] = np.where(known, pairs, 0).astype(np.float64).sum(axis=2) / known.sum(axis=2)
        return total


class Frames:
    """The frames of one side's drives, and which rows they are."""

    def __init__(self, feature: Any, side: str) -> None:
        numbers = np.asarray(feature, np.float64)
        if numbers.ndim != 2 or numbers.shape[1] != 2 or (numbers != np.floor(numbers)).any():
            text = "must have two whole numbers for each picture: the drive and the frame"
            raise rule(f"{side}_features['sequence']", text, f"shape {numbers.shape}")
        self.drives, self.frames = numbers.astype(np.int64).T
        self._first = int(self.frames.min())
        self._width = int(self.frames.max()) - self._first + 1
        keys = self._keys(self.drives, self.frames)
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
        if (self._sorted[1:] == self._sorted[:-1]).any():
            raise InputError(f"'{side}_features['sequence']' must have each frame of a drive once")

    def moved(self, rows: NDArray[np.int64], steps: NDArray[Any]) -> NDArray[np.int64]:
        """The rows (…, steps) so many frames further on in the same drive; −1 where there is none."""
        drives = self.drives[rows][..., None]
        frames = self.frames[rows][..., None] + np.floor(steps + 0.5).astype(np.int64)
        inside = (frames >= self._first) & (frames < self._first + self._width)
        wanted = self._keys(drives, np.where(inside, frames, self._first))
        spot = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        return np.where(inside & (self._sorted[spot] == wanted), self._order[spot], -1)

    def _keys(self, drives: Any, frames: Any) -> NDArray[np.int64]:
        keys: NDArray[np.int64] = drives * self._width + (frames - self._first)
        return keys
