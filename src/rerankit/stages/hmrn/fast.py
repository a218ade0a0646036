"""The cheap levels for every round without gradients: encoded sides, the global level, the local level.

The numbers are those of `network.SimilarityEncoder`: what changes is the order of the work. The local level of all
rounds is one product and one pass of running sums, tile by tile. `reasoning` has the third level.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rerankit.arrays import IntArray
from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.encoders import mask_of
from rerankit.stages.hmrn.network import SLOPE, SimilarityEncoder
from rerankit.threads import OfThread

WIDE = 256
"""Searches of a tile."""


@dataclass(frozen=True)
class Images:
    """Encoded images: regions (n, R, D), zero where padded, counts (n,) and pooled vectors (n, D)."""

    regions: Tensor
    counts: Tensor
    pooled: Tensor
    kept_alive: object = None
    """Whatever must live as long as the tensors, such as the folder of a memory map."""

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, rows: slice | Tensor) -> Images:
        return Images(self.regions[rows], self.counts[rows], self.pooled[rows], self.kept_alive)


Encoding = Callable[[IntArray], list[Images]]
"""Gives some rows of pictures as each of the networks encodes them."""


@dataclass(frozen=True)
class Searches:
    """Encoded searches: descriptions (c, T, D), zero where padded, pooled per round (c, T, D), and counts (c,).

    The counts stay on the CPU, where the loop over searches reads them.
    """

    queries: Tensor
    counts: Tensor
    pooled: Tensor

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, rows: slice | Tensor) -> Searches:
        return Searches(self.queries[rows], self.counts[rows], self.pooled[rows])


def overall(images: Images, searches: Searches) -> Tensor:
    """The global level after every round: (T, c, n)."""
    return searches.pooled.transpose(0, 1) @ images.pooled.T


def table_scale(config: HmrnConfig) -> float:
    """The temperature of the local level, by which its tables of raw similarities are multiplied."""
    return config.region_temperature if config.variant == "I-T" else config.query_temperature


class LocalLevel:
    """The local level after every round, by running sums; and the raw similarities of a block."""

    def __init__(self, encoder: SimilarityEncoder) -> None:
        config = encoder.config
        self.by_region = config.variant == "I-T"
        self.temperature = table_scale(config)
        self._buffers = OfThread(torch.empty(0))

    def table(self, images: Images, searches: Searches) -> Tensor:
        """Temperature times raw similarity after the leaky ReLU, (T, c, n, R): one product.

        The temperature rides on the product; the reasoning level, which normalises, takes it out again.
        """
        queries = (searches.queries.transpose(0, 1) * self.temperature).flatten(0, 1)
        table = queries @ images.regions.flatten(0, 1).T
        torch.nn.functional.leaky_relu_(table, SLOPE)
        return table.view(searches.queries.shape[1], len(searches), len(images), -1)

    def __call__(self, images: Images, searches: Searches, cells: int = 1 << 21) -> Tensor:
        """All rounds of all pairs, (T, c, n).

        `cells`: how many similarities a tile has, all rounds counted. A tile is one product and two buffers.
        """
        regions, (count, last, dim) = images.regions, searches.queries.shape
        out = regions.new_empty(len(images), last, count)
        wide, slots = min(count, WIDE), regions.shape[1]
        # Tiles of one size: a small last one would cost nearly as much as a full one.
        tiles = math.ceil(len(images) * slots * wide * last / cells)
        high = max(1, math.ceil(len(images) / max(1, tiles)))
        buffers = self._two_of(high * slots * wide * last, regions)
        for left in range(0, count, wide):
            columns = slice(left, left + wide)
            vectors = (searches.queries[columns] * self.temperature).permute(2, 1, 0).reshape(dim, -1)
            for top in range(0, len(images), high):
                rows = slice(top, top + high)
                self._tile(regions[rows], images.counts[rows], vectors, out[rows, :, columns], buffers)
        if self.by_region:
            out.div_(images.counts[:, None, None] * self.temperature)
        else:
            steps = torch.arange(1, last + 1, device=out.device)
            out.cumsum_(dim=1).div_(steps[:, None] * self.temperature)
        return out.permute(1, 2, 0).contiguous()

    def _two_of(self, cells: int, like: Tensor) -> Tensor:
        """Two buffers of a tile, kept between the calls of a thread: fresh pages would cost a part of the work."""
        own = self._buffers
        if own.value.numel() < 2 * cells or own.value.device != like.device:
            own.value = like.new_empty(2 * cells)
        kept: Tensor = own.value[: 2 * cells].view(2, cells)
        return kept

    def _tile(self, regions: Tensor, counts: Tensor, vectors: Tensor, out: Tensor, buffers: Tensor) -> None:
        """What the regions of some images add up to for queries `vectors` (D, T·c) in each round: `out` (n, T, c)."""
        shape = regions.shape[0] * regions.shape[1], vectors.shape[1]
        now, weight = (buffer[: shape[0] * shape[1]].view(shape) for buffer in buffers)
        torch.mm(regions.flatten(0, 1), vectors, out=now)
        torch.nn.functional.leaky_relu_(now, SLOPE)
        torch.exp(now, out=weight)
        if self.by_region:
            _by_region(now, weight, out)
        else:
            _by_query(now, weight, out, counts)


def _by_region(now: Tensor, weight: Tensor, out: Tensor) -> None:
    """Each region attends over the queries so far, a ratio of two running sums: its sums over regions."""
    above, below = (table.view(len(now), *out.shape[1:]).unbind(1) for table in (now, weight))
    above[0].mul_(below[0])
    for t in range(1, len(above)):
        torch.addcmul(above[t - 1], above[t], below[t], out=above[t])
        below[t].add_(below[t - 1])
    _over_regions(now.div_(weight), out)


def _by_query(now: Tensor, weight: Tensor, out: Tensor, counts: Tensor) -> None:
    """Each query attends over the first `counts` regions of each image; padded ones would weigh 1."""
    slots = len(now) // len(out)
    if bool((counts < slots).any()):
        weight.view(len(out), slots, -1).mul_(mask_of(counts, slots)[:, :, None])
    total = _over_regions(weight, torch.empty_like(out))
    _over_regions(now.mul_(weight), out).div_(total)


def _over_regions(values: Tensor, out: Tensor) -> Tensor:
    """Sums of (n·R, T·c) over the regions of each image: `out` (n, T, c)."""
    count, *shape = out.shape
    return torch.sum(values.view(count, len(values) // count, *shape), dim=1, out=out)
