"""The two-covariance model of pairs, and how far it is trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rerankit.arrays import AnyArray, IntArray

SHRINKS = (0.1, 0.3, 0.6, 0.9, 0.97)
SHARES = (0.0, 0.15, 0.3, 0.6, 1.0)
_TINY = 1e-6


@dataclass(frozen=True)
class VectorPairs:
    """Vectors of pairs: row p of `queries` (pairs, d) belongs to row p of `gallery`; `things` says which show the same.

    Vectors are as the problem's metric takes them (of unit length for cosines), or follow from similarities.
    """

    queries: AnyArray
    gallery: AnyArray
    things: IntArray

    def some(self, chosen: AnyArray) -> VectorPairs:
        """The pairs of a mask or of numbers."""
        return VectorPairs(self.queries[chosen], self.gallery[chosen], self.things[chosen])


@dataclass(frozen=True)
class TwoCovariance:
    """x = its side's mean + z + noise, the same z for what belongs together: z and noise normal, of two covariances.

    The score of two vectors is the logarithm of how much likelier they are with one z than with two: in the axes that
    make the noise round and z's covariance diagonal, Σ `products` u v − Σ `squares` (u² + v²) / 2.
    """

    query_mean: AnyArray
    gallery_mean: AnyArray
    axes: AnyArray
    """(d, r)."""
    products: AnyArray
    squares: AnyArray

    def parts(self, vectors: AnyArray, mean: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Vectors (n, r) whose inner products are the scores but for each item's own part (n,), which is the other."""
        turned = (vectors - mean) @ self.axes
        return turned * np.sqrt(self.products), -np.square(turned) @ self.squares / 2

    def scores(self, queries: AnyArray, gallery: AnyArray) -> AnyArray:
        """Scores of all pairs (queries, gallery)."""
        left, own = self.parts(queries, self.query_mean)
        right, theirs = self.parts(gallery, self.gallery_mean)
        found: AnyArray = left @ right.T + own[:, None] + theirs
        return found


def two_covariance(pairs: VectorPairs, shrink: float) -> TwoCovariance:
    """The model's closed form; the noise's covariance is drawn by the share `shrink` to a round one."""
    means = pairs.queries.mean(axis=0), pairs.gallery.mean(axis=0)
    queries, gallery = pairs.queries - means[0], pairs.gallery - means[1]
    width, apart = queries.shape[1], queries - gallery
    noise = apart.T @ apart / (2 * len(apart))
    noise = (1 - shrink) * noise + np.eye(width) * (shrink * np.trace(noise) / width)
    shared = queries.T @ gallery
    shared = (shared + shared.T) / (2 * len(apart))
    sizes, turn = np.linalg.eigh(noise)
    round_noise = turn / np.sqrt(np.maximum(sizes, _TINY * sizes.max(initial=_TINY)))
    lengths, axes = np.linalg.eigh(round_noise.T @ shared @ round_noise)
    known = lengths > _TINY * max(1.0, float(lengths.max(initial=0)))
    lengths, axes = lengths[known], axes[:, known]
    together = (lengths + 1) ** 2 - lengths**2
    return TwoCovariance(*means, round_noise @ axes, lengths / together, (lengths + 1) / together - 1 / (lengths + 1))
