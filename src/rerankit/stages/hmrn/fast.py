"""The cheap levels for every round without gradients: encoded sides, the global level, the local level.

The numbers are those of `network.SimilarityEncoder`: what changes is the order of the work. The local level of all
rounds is one pass of running sums over tiles that stay in the processor's cache. `reasoning` has the third level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rerankit.stages.hmrn.network import SLOPE, SimilarityEncoder

WIDE = 256
"""Searches of a tile."""


@dataclass(frozen=True)
class Images:
    """Encoded images: regions (n, R, D), zero where padded, counts (n,) and pooled vectors (n, D)."""

    regions: Tensor
    counts: Tensor
    pooled: Tensor
    keeper: object = None
    """Whatever must live as long as the tensors, such as the folder of a memory map."""

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, rows: slice | Tensor) -> Images:
        return Images(self.regions[rows], self.counts[rows], self.pooled[rows], self.keeper)


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


class Local:
    """The local level after every round, by running sums; and the raw similarities of a block."""

    def __init__(self, encoder: SimilarityEncoder) -> None:
        config = encoder.config
        self.by_region = config.variant == "I-T"
        self.temperature = config.region_temperature if self.by_region else config.query_temperature
        self._rooms = torch.empty(0)

    def table(self, images: Images, searches: Searches) -> Tensor:
        """Temperature times raw similarity after the leaky ReLU, (T, c, n, R): one product.

        The temperature rides on the product; the reasoning level, which normalises, does not see it.
        """
        queries = self._hot(searches).flatten(0, 1)
        table = queries @ images.regions.flatten(0, 1).T
        torch.nn.functional.leaky_relu_(table, SLOPE)
        return table.view(searches.queries.shape[1], len(searches), len(images), -1)

    def __call__(self, images: Images, searches: Searches, cells: int = 1 << 18) -> Tensor:
        """All rounds of all pairs, (T, c, n).

        `cells`: how many similarities of one round a tile has. Four buffers of them are what the work touches, and
        they should stay in the cache.
        """
        queries = self._hot(searches)
        last, count = queries.shape[:2]
        out = queries.new_empty(last, count, len(images))
        wide = min(count, WIDE)
        # Tiles of one size: a small last one would cost nearly as much as a full one.
        tiles = math.ceil(len(images) * images.regions.shape[1] * wide / cells)
        high = -(-len(images) // tiles)
        rooms = self._buffers(high * images.regions.shape[1] * wide, queries)
        for top in range(0, len(images), high):
            rows = slice(top, top + high)
            for left in range(0, count, wide):
                tile = self._tile(images[rows], queries[:, left : left + wide], rooms)
                out[:, left : left + wide, rows] = tile.transpose(1, 2)
        if self.by_region:
            return out.div_(images.counts * self.temperature)
        steps = torch.arange(1, last + 1, device=out.device)
        return out.cumsum_(dim=0).div_(steps[:, None, None] * self.temperature)

    def _hot(self, searches: Searches) -> Tensor:
        hot = searches.queries.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        return hot.mul_(self.temperature)

    def _buffers(self, cells: int, like: Tensor) -> Tensor:
        """Four buffers of a tile, kept between calls: fresh pages would cost a part of the work."""
        if self._rooms.numel() < 4 * cells or self._rooms.device != like.device:
            self._rooms = like.new_empty(4 * cells)
        return self._rooms[: 4 * cells].view(4, cells)

    def _tile(self, images: Images, queries: Tensor, rooms: Tensor) -> Tensor:
        """What the regions of some images add up to for some searches in each round, (T, n, c)."""
        regions = images.regions.flatten(0, 1)
        shape = len(regions), queries.shape[1]
        tile = queries.new_empty(len(queries), len(images), shape[1])
        now, weight, top, bottom = (room[: shape[0] * shape[1]].view(shape) for room in rooms)
        if self.by_region:
            _by_region(regions, queries, tile, now, weight, top, bottom)
        else:
            padded = (images.regions.shape[1] - images.counts).to(tile.dtype)[:, None]
            _by_query(regions, queries, tile, padded, now, weight)
        return tile


def _by_region(
    regions: Tensor, queries: Tensor, out: Tensor, now: Tensor, weight: Tensor, top: Tensor, bottom: Tensor
) -> None:
    """Each region attends over the queries so far, a ratio of two running sums: the sums over regions (T, n, c)."""
    for number, asked in enumerate(queries):
        _similar(regions, asked, now)
        if number == 0:  # one query has all the attention: the ratio is its own similarity
            torch.mul(torch.exp(now, out=bottom), now, out=top)
            _over_regions(now, out[number])
            continue
        bottom.add_(torch.exp(now, out=weight))
        top.addcmul_(weight, now)
        _over_regions(torch.div(top, bottom, out=weight), out[number])


def _by_query(regions: Tensor, queries: Tensor, out: Tensor, padded: Tensor, now: Tensor, weight: Tensor) -> None:
    """Each query attends over the regions: (T, n, c). Of the `padded` regions each weighs 1 and adds 0."""
    total = torch.empty_like(out[0])
    for asked, result in zip(queries, out, strict=True):
        _similar(regions, asked, now)
        _over_regions(torch.exp(now, out=weight), total)
        _over_regions(weight.mul_(now), result)
        result.div_(total.sub_(padded))


def _similar(regions: Tensor, asked: Tensor, out: Tensor) -> None:
    """Similarities (n·R, c) after the leaky ReLU."""
    torch.mm(regions, asked.T, out=out)
    torch.nn.functional.leaky_relu_(out, SLOPE)


def _over_regions(values: Tensor, out: Tensor) -> None:
    """Sums of (n·R, c) over the regions of each image: (n, c)."""
    torch.sum(values.view(len(out), -1, out.shape[1]), dim=1, out=out)
