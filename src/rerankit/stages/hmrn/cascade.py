"""How deep the cascade must go: R@1 against the cost of the reasoning level, from one pass over validation data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.errors import rule
from rerankit.plots import Theme, save
from rerankit.relevance import Relevance
from rerankit.scores.topk import topk_dense


@dataclass(frozen=True)
class CascadeCurve:
    """`hits[k − 1]`: the share of searches whose first place is right when the reasoning level runs for k candidates.

    `lost[k − 1]`: the share that is right with all candidates and wrong with k. Cost is k over the images.

    >>> curve = CascadeCurve(np.array([0.5, 0.75, 0.75]), np.array([0.25, 0.0, 0.0]), searches=4)
    >>> curve.smallest(bound=0.0)
    2
    """

    hits: AnyArray
    lost: AnyArray
    searches: int

    @property
    def full(self) -> float:
        """R@1 with the reasoning level for all images."""
        return float(self.hits[-1])

    def loss(self, depth: int) -> float:
        """How much of R@1 a cascade of this depth gives up (below zero when it gains)."""
        return self.full - float(self.hits[min(depth, len(self.hits)) - 1])

    def smallest(self, bound: float) -> int:
        """The smallest depth from which on R@1 stays within `bound` of the full model's."""
        if not 0 <= bound <= 1:
            raise rule("bound", "must be between 0 and 1, a share of the searches", bound)
        over = np.flatnonzero(self.full - self.hits > bound + 1e-12)
        return int(over[-1]) + 2 if len(over) else 1

    def upper(self, depth: int, confidence: float = 0.95) -> float:
        """An upper confidence limit (one-sided, exact binomial) of the share of searches this depth loses."""
        from scipy.stats import beta

        missed = round(float(self.lost[min(depth, len(self.lost)) - 1]) * self.searches)
        return 1.0 if missed >= self.searches else float(beta.ppf(confidence, missed + 1, self.searches - missed))

    def rows(self, depths: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)) -> list[dict[str, float]]:
        """A table: depth, share of the reasoning cost, R@1, loss and its upper limit."""
        size = len(self.hits)
        return [
            {
                "depth": depth,
                "cost": depth / size,
                "R@1": float(self.hits[depth - 1]),
                "loss": self.loss(depth),
                "loss at most": self.upper(depth),
            }
            for depth in (*(d for d in depths if d < size), size)
        ]

    def plot(
        self, path: str | os.PathLike[str], title: str = "Cascade", depth: int | None = None, theme: str = "light"
    ) -> Path:
        """R@1 against the share of the reasoning cost, as a picture; with a mark at `depth`."""
        return save(partial(self._draw, title, depth), path, (6, 3.6), theme)

    def _draw(self, title: str, depth: int | None, figure: Any, theme: Theme) -> None:
        axes = figure.subplots()
        cost = np.arange(1, len(self.hits) + 1) / len(self.hits)
        axes.semilogx(100 * cost, 100 * self.hits, label="cascade")
        axes.axhline(100 * self.full, linestyle="--", color=theme.muted, label="reasoning for all images")
        if depth is not None and depth <= len(cost):
            label = f"{depth} candidates"
            axes.plot(100 * cost[depth - 1], 100 * self.hits[depth - 1], "o", color=theme.others, label=label)
        axes.set(xlabel="share of the reasoning cost, %", ylabel="R@1, %", title=title)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.legend()


def cascade_curve(cheap: FloatArray, joint: FloatArray, relevance: Relevance) -> CascadeCurve:
    """The curve from the cheap and the joint scores of all pairs, (searches, images) each.

    The first place of a cascade of depth k is the best joint score among the k best cheap ones, so one walk
    along the cheap order gives the answer for every k.
    """
    if cheap.shape != joint.shape or relevance.shape != joint.shape:
        raise rule("joint", f"must have the shape of 'cheap' and 'relevance', {cheap.shape}", joint.shape)
    searches, size = joint.shape
    hits, lost = np.zeros(size), np.zeros(size)
    for row in range(searches):
        right = _right_by_depth(cheap[row], joint[row], relevance.of(row).items)
        hits += right
        lost += right[-1] & ~right
    return CascadeCurve(hits / searches, lost / searches, searches)


def _right_by_depth(cheap: FloatArray, joint: FloatArray, answers: IntArray) -> BoolArray:
    """For k = 1…images: whether the best joint score among the k best cheap ones is of an answer."""
    order = topk_dense(cheap[None].astype(np.float32), len(cheap))[0][0]
    along = joint[order]
    best = np.maximum.accumulate(along)
    # A new leader needs a higher score, or the same and a smaller index: the tie rule.
    leader, holder = np.empty(len(order), np.int64), -1
    changes = np.flatnonzero(np.r_[True, along[1:] >= best[:-1]])
    for place in changes.tolist():
        item, score = int(order[place]), along[place]
        if holder < 0 or score > joint[holder] or item < holder:
            holder = item
        leader[place] = holder
    filled = changes[np.searchsorted(changes, np.arange(len(order)), "right") - 1]
    return np.isin(leader[filled], answers)
