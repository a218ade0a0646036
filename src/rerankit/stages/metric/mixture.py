"""The backbone's scores and the learned ones together, as products of vectors and each item's own part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray
from rerankit.scores import EmbeddingScores
from rerankit.sides import SideName
from rerankit.stages.metric.two_covariance import TwoCovariance

MODEL = ("query_mean", "gallery_mean", "axes", "products", "squares")


class Forms(NamedTuple):
    """One side's vectors as rows and as columns of a matrix of scores."""

    left: FloatArray
    right: FloatArray

    @classmethod
    def of(cls, vectors: AnyArray, own: AnyArray) -> Forms:
        """Vectors (n, d) whose products count, and each item's own part (n,), which is added."""
        ones, own = np.ones((len(vectors), 1)), own[:, None]
        return cls(
            np.concatenate([vectors, own, ones], axis=1).astype(np.float32),
            np.concatenate([vectors, ones, own], axis=1).astype(np.float32),
        )

    def scores(self, other: Forms) -> EmbeddingScores:
        """These as rows, others as columns."""
        return EmbeddingScores(self.left, other.right, "dot")


@dataclass(frozen=True)
class Mixture:
    """How much the backbone's scores and the learned ones count in one direction, and the model of these."""

    model: TwoCovariance
    plain: float
    learned: float
    reverse: bool

    @classmethod
    def of(cls, weights: Mapping[str, AnyArray], *, reverse: bool) -> Mixture:
        """That of a stage's weights."""
        share = float(weights["shares"][int(reverse)])
        plain, learned = weights["spreads"].tolist()
        model = TwoCovariance(*(weights[name] for name in MODEL))
        return cls(model, (1 - share) / plain, share / learned, reverse)

    def taught_as(self, side: SideName) -> SideName:
        """The side on which the items of a problem's side stood in `fit`."""
        other: SideName = "gallery" if side == "query" else "query"
        return other if self.reverse else side

    def parts(self, vectors: AnyArray, side: SideName) -> tuple[AnyArray, AnyArray]:
        """Vectors (n, r) of a side, whose products are the learned scores' part of the mixture but for each item's own
        part (n,), which is the other.
        """
        mean = self.model.query_mean if self.taught_as(side) == "query" else self.model.gallery_mean
        shared, own = self.model.parts(vectors, mean)
        return np.sqrt(self.learned) * shared, self.learned * own
