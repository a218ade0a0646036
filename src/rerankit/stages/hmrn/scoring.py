"""From features to scores: encoding both sides, then blocks of searches against images within the memory budget.

One scorer holds one network, or several whose scores are averaged (the published ensemble: one of each
variant). Rows are searches and columns are images everywhere.
"""

from __future__ import annotations

import math
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from rerankit import settings
from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import rule
from rerankit.events import track
from rerankit.features import Regions
from rerankit.files import Scratch
from rerankit.scores import blocks
from rerankit.stages.hmrn.encoders import encode_rounds, mask_of, tensor
from rerankit.stages.hmrn.fast import Images, LocalLevel, Searches, overall
from rerankit.stages.hmrn.network import Hmrn, hold
from rerankit.stages.hmrn.reasoning import Reasoning
from rerankit.stages.hmrn.representation import Descriptions
from rerankit.training.devices import check_products, pick, products

T = TypeVar("T")
CACHE_BYTES = 2_300_000
"""What a block's buffers may take on the CPU for each core: about its own cache."""
TILE_CELLS = 1_500_000
"""Similarities of a tile of the local level on the CPU: enough for products that run at full speed."""


@dataclass(frozen=True)
class RoundScores:
    """Similarities after some rounds: each level and the joint score, (rounds, searches, images) float32.

    Of candidates the columns are theirs, and nan stands where the cascade kept the reasoning level away.
    """

    rounds: tuple[int, ...]
    local: FloatArray
    overall: FloatArray
    reasoning: FloatArray
    joint: FloatArray


class Scorer:
    """Scores searches against images with one or several networks on a device."""

    def __init__(
        self,
        networks: Sequence[Hmrn],
        device: str | torch.device = "auto",
        rounding: str = "float32",
        half: bool = False,
    ) -> None:
        self.device, self.rounding, self.half = pick(device), rounding, half
        check_products(self.device, rounding)
        self.networks = [network.to(self.device).eval() for network in networks]
        if not self.networks:
            raise rule("networks", "must be at least one", "none")
        with torch.no_grad():
            self.levels = [LocalLevel(network.similarity) for network in self.networks]
            self.reasoners = [Reasoning(network.similarity) for network in self.networks]
        self.config = self.networks[0].config

    # -- encoding --------------------------------------------------------------------------------------------

    @torch.no_grad()
    def images(self, regions: Regions) -> list[Images]:
        """Encoded images, one entry for each network, on the grid of half precision where that is asked for; in a
        temporary file when they exceed the memory budget.
        """
        if regions.shape[2] != self.config.region_dim:
            raise rule("regions", f"must have vectors of width {self.config.region_dim}", f"width {regions.shape[2]}")
        size, (count, given_slots, dim) = self.config.dim, regions.shape
        slots = min(given_slots, self.config.region_slots)
        made = [_Room(count, slots, size, self.device) for _ in self.networks]
        work = list(blocks(count, given_slots * (dim * 6 + size * 16)))
        for rows in track(work, "encode images"):
            values, counts = regions.within(rows, slots)
            given = tensor(values).to(self.device)
            lengths = tensor(counts).to(self.device)
            padded = None if bool((lengths == slots).all()) else lengths
            for network, own in zip(self.networks, made, strict=True):
                encoded = network.image(given, padded)
                encoded = encoded.half().float() if self.half else encoded
                own.put(rows, encoded, lengths, network.similarity.v_global_w(encoded, padded))
        return [own.images() for own in made]

    @torch.no_grad()
    def searches(self, queries: Descriptions) -> list[Searches]:
        """Encoded searches, one entry for each network."""
        counts = queries.counts if queries.counts is not None else np.full(len(queries), queries.shape[1])
        lengths = tensor(counts)
        made = []
        for network in self.networks:
            vectors = self._vectors(network, queries)
            vectors = vectors * mask_of(lengths, vectors.shape[1]).to(self.device)[..., None]
            pool = network.similarity.t_global_w.rounds
            parts = [pool(vectors[rows]) for rows in blocks(len(vectors), vectors[0].numel() * 24)]
            made.append(Searches(vectors, lengths, hold(torch.cat(parts), lengths.to(self.device))))
        return made

    def _vectors(self, network: Hmrn, queries: Descriptions) -> Tensor:
        """Description vectors (c, T, D): encoded from tokens, or checked and normalised as given."""
        config = network.config
        if queries.lengths is None:
            if queries.shape[2] != config.dim:
                raise rule("text", f"must have vectors of width {config.dim}, or be token ids", queries.shape[2])
            return torch.from_numpy(np.array(queries.values, np.float32)).to(self.device)
        limit = config.vocabulary_size
        if config.text_model is None and int(queries.values.max()) >= limit:
            raise rule("text", f"must have token ids below {limit}", int(queries.values.max()))
        ids = tensor(queries.values.astype(np.int64, copy=False))
        words = settings.memory_budget() // (64 * config.dim)
        return encode_rounds(network.text, ids, tensor(queries.lengths), config.dim, words)

    # -- scores ----------------------------------------------------------------------------------------------

    def rounds(self, wanted: Any, last: int) -> list[int]:
        """The rounds meant by "last", "all" or a number, when there are `last` of them."""
        if wanted == "all":
            return list(range(1, last + 1))
        if wanted == "last":
            return [last]
        if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1:
            raise rule("rounds", "must be 'last', 'all' or a round's number from 1", wanted)
        if wanted > last:
            raise rule("rounds", f"must be at most {last}, the rounds the searches have", int(wanted))
        return [int(wanted)]

    @torch.no_grad()
    def score(self, images: list[Images], searches: list[Searches], rounds: list[int]) -> Iterator[RoundScores]:
        """All levels for all pairs, as blocks of searches in their order."""
        cells = len(images[0]) * (len(rounds) * 4 + searches[0].queries.shape[1]) * 4
        for rows in track(list(blocks(len(searches[0]), cells, share=0.5)), "score searches"):
            part = [side[rows] for side in searches]
            with products(self.device, self.rounding):
                tables = [self._levels(number, images[number], part[number], rounds) for number in range(len(part))]
            local, globe, reasoning = (torch.stack(level).mean(dim=0) for level in zip(*tables, strict=True))
            joint = self.joint(local, globe, reasoning, part[0].counts, rounds)
            arrays = (level.cpu().numpy() for level in (local, globe, reasoning, joint))
            yield RoundScores(tuple(rounds), *arrays)

    def joint(self, local: Tensor, globe: Tensor, reasoning: Tensor, counts: Tensor, rounds: list[int]) -> Tensor:
        """The joint score: (rounds, searches, images)."""
        config = self.config
        joint: Tensor = config.cheap_share(local, globe)
        spoken = torch.minimum(torch.tensor(rounds)[:, None], counts)  # (rounds, searches)
        table = torch.tensor([config.round_weight(t) for t in range(1, int(spoken.max()) + 1)])
        weight = (config.reasoning_weight * table[spoken - 1][..., None]).to(joint.device)
        return joint.add_(weight * reasoning)

    @torch.no_grad()
    def cheap_levels(self, images: list[Images], searches: list[Searches], rounds: list[int]) -> tuple[Tensor, Tensor]:
        """The local and the global level of all pairs, (rounds, searches, images) each."""
        sides = zip(self.levels, images, searches, strict=True)
        with products(self.device, self.rounding):
            found = [self._cheap_levels(level, image, search, rounds) for level, image, search in sides]
        if len(found) == 1:
            return found[0]
        local, globe = (torch.stack(level).mean(dim=0) for level in zip(*found, strict=True))
        return local, globe

    def cheap(self, images: list[Images], searches: list[Searches], rounds: list[int]) -> Tensor:
        """Their share of the joint score of all pairs: (rounds, searches, images)."""
        share: Tensor = self.config.cheap_share(*self.cheap_levels(images, searches, rounds))
        return share

    @torch.no_grad()
    def reason(
        self, images: list[Images], searches: list[Searches], row: int, items: IntArray, rounds: list[int]
    ) -> Tensor:
        """The reasoning level of one search against some images: (rounds, items)."""
        with products(self.device, self.rounding):
            return self._reason(images, searches, row, items, rounds)

    def _reason(
        self, images: list[Images], searches: list[Searches], row: int, items: IntArray, rounds: list[int]
    ) -> Tensor:
        chosen = torch.tensor(items, device=self.device)
        parts = []
        for number, (image, search) in enumerate(zip(images, searches, strict=True)):
            single, own = search[row : row + 1], []
            for part in torch.split(chosen, self._images_at_once(rounds)):
                some = image[part]
                table = self.levels[number].table(some, single)
                own.append(self._reason_row(number, table, some, single, 0, rounds))
            parts.append(torch.cat(own, dim=1))
        return torch.stack(parts).mean(dim=0)

    def _levels(
        self, number: int, images: Images, searches: Searches, rounds: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        level = self.levels[number]
        local, globe = self._cheap_levels(level, images, searches, rounds)
        reasoning = local.new_empty(local.shape)
        for columns, some in _pieces(images, self._images_at_once(rounds)):
            for rows, few in _pieces(searches, self._searches_at_once(some, searches)):
                table = level.table(some, few)
                for row in range(len(few)):
                    reasoning[:, (rows.start or 0) + row, columns] = self._reason_row(
                        number, table, some, few, row, rounds
                    )
        return local, globe, reasoning

    def _reason_row(
        self, number: int, table: Tensor, images: Images, searches: Searches, row: int, rounds: list[int]
    ) -> Tensor:
        """One search of a block after each of `rounds`; rounds it does not have are its last one."""
        count = int(searches.counts[row])
        spoken = [min(t, count) for t in rounds]
        once = sorted(set(spoken))
        found = self.reasoners[number](table[:, row], images, searches.queries[row], searches.pooled[row], once)
        return found if len(once) == len(rounds) else found[[once.index(t) for t in spoken]]

    def _cheap_levels(
        self, level: LocalLevel, images: Images, searches: Searches, rounds: list[int]
    ) -> tuple[Tensor, Tensor]:
        """The local and the global level of a block of searches against all images, (rounds, c, n) each."""
        last = searches.queries.shape[1]
        local = level(images, searches, self.cells())
        if not bool(torch.isfinite(local).all()):  # vectors of length 1 never get there
            limit = f"must have vectors so short that exp({level.temperature:g} · similarity to a region) is in float32"
            raise rule("queries", limit, "longer ones")
        if bool((searches.counts < last).any()):
            local = hold(local.transpose(0, 1), searches.counts.to(self.device)).transpose(0, 1)
        chosen = [t - 1 for t in rounds]
        return local[chosen], overall(images, searches)[chosen]

    def _searches_at_once(self, images: Images, searches: Searches) -> int:
        """Searches of a block whose similarity table stays in the cache, or within the budget on a GPU."""
        row = 4 * searches.queries.shape[1] * images.regions[..., 0].numel()
        return max(1, (2 * CACHE_BYTES if self.device.type == "cpu" else self._budget()) // row)

    def cells(self) -> int:
        """Similarities of a tile of the local level, which has two buffers of them."""
        fitting = max(1, self._budget() // 16)
        return min(fitting, TILE_CELLS) if self.device.type == "cpu" else fitting

    def _budget(self) -> int:
        """Bytes for the buffers of a block: the memory budget, on a GPU at least a quarter of what is free there."""
        if self.device.type != "cuda":
            return settings.memory_budget()
        return max(settings.memory_budget(), int(torch.cuda.mem_get_info(self.device)[0]) // 4)

    def _images_at_once(self, rounds: list[int]) -> int:
        """Images of a block of the reasoning level: its buffers hold a row for each node of each round."""
        nodes = sum(t + 1 for t in rounds)
        row = 4 * nodes * 4 * max(self.config.dim, self.config.reasoning_dim)
        fitting = max(1, self._budget() // (2 * row))
        return min(fitting, max(16, 6500 // nodes)) if self.device.type == "cpu" else fitting


class _Folder:
    """A temporary folder that goes when nothing holds this object any more."""

    def __init__(self) -> None:
        scratch = Scratch(Path(tempfile.gettempdir()))
        self.path = scratch.path
        weakref.finalize(self, scratch.close)


class _Room:
    """Where encoded images are put: memory, or a temporary file beyond four times the memory budget."""

    def __init__(self, count: int, slots: int, dim: int, device: torch.device) -> None:
        shape = (count, slots, dim)
        self.folder: _Folder | None = None
        if device.type == "cpu" and 4 * math.prod(shape) > 4 * settings.memory_budget():
            self.folder = _Folder()
            kept = np.lib.format.open_memmap(self.folder.path / "regions.npy", "w+", np.float32, shape)
            self.regions = torch.from_numpy(kept)
        else:
            self.regions = torch.empty(shape, device=device)
        self.counts = torch.empty(count, dtype=torch.int64, device=device)
        self.pooled = torch.empty(count, dim, device=device)

    def put(self, rows: slice, regions: Tensor, counts: Tensor, pooled: Tensor) -> None:
        self.regions[rows], self.counts[rows], self.pooled[rows] = regions, counts, pooled

    def images(self) -> Images:
        return Images(self.regions, self.counts, self.pooled, self.folder)


def _pieces(side: T, size: int) -> Iterator[tuple[slice, T]]:
    for start in range(0, len(side), size):  # type: ignore[arg-type]
        rows = slice(start, min(start + size, len(side)))  # type: ignore[arg-type]
        yield rows, side[rows]  # type: ignore[index]
