"""Every item's nearest others of its side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray, IntArray
from rerankit.scores import Scores
from rerankit.stages.pillar.plus.scale import Scale
from rerankit.stages.pillar.plus.settings import PlusSettings

PLAN_ROUNDS = 10


class Near(NamedTuple):
    """Every item's nearest others of its side: similarities on their `scale` and numbers (items, pillars), padded with
    −1 and the lowest known; `top` is the highest similarity, `factors` (items,) discount hubs.
    """

    similarities: Tensor
    ids: Tensor
    scale: Scale
    top: Tensor
    factors: Tensor
    sharpness: float

    def weights(self, similarities: Tensor, ids: Tensor, factors: Tensor) -> Tensor:
        """How much nearest ones of this side (rows, n) count for rows with `factors` (rows,) of their own."""
        return kernel(similarities, ids, self.sharpness, self.top) * self.factors[ids.clamp_min(0)] * factors[:, None]


def kernel(near: Tensor, ids: Tensor, sharpness: float, top: Tensor) -> Tensor:
    """Weights (items, k) of nearest items with similarities `near` before hubs are discounted."""
    return torch.where(ids >= 0, torch.exp(sharpness * (near - top)), 0.0)


def near_factors(near: Tensor, ids: Tensor, sharpness: float, top: Tensor) -> Tensor:
    """Factors (items,) by which hubs are discounted: symmetric scaling."""
    weights, known = kernel(near, ids, sharpness, top), ids.clamp_min(0)
    found = weights.new_ones(len(weights))
    for _ in range(PLAN_ROUNDS):
        found = (found / (weights * found[known]).sum(dim=1).clamp_min(1e-30)).sqrt()
    return found


def nearest_of(scores: Scores, settings: PlusSettings) -> Near:
    """Every item's nearest others."""
    count = settings.pillars
    ids, values = scores.topk(max(count, 16) + 1)
    own = ids == np.arange(len(ids))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = len(ids), ids.shape[1] - 1
    rest, rest_ids = values[~own].reshape(shape), ids[~own].reshape(shape)
    scale = Scale.of(rest)
    near, others = padded(rest_ids, scale.apply(rest), count)
    top = near.max() if near.numel() else torch.zeros(())
    found = near_factors(near, others, settings.neighbour_sharpness, top)
    return Near(near, others, scale, top, found, settings.neighbour_sharpness)


def padded(ids: IntArray, values: FloatArray, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` values and numbers (items, count), padded with the lowest known value and −1."""
    wide = min(count, ids.shape[1])
    near, others = np.full((len(ids), count), -np.inf, np.float32), np.full((len(ids), count), -1)
    near[:, :wide], others[:, :wide] = values[:, :wide], ids[:, :wide]
    known = np.isfinite(near)
    near[~known] = near[known].min() if known.any() else 0.0
    return torch.from_numpy(near), torch.from_numpy(others)
