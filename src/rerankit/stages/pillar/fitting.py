"""Training of the pillar networks: both directions together, with structure alignment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray, IntArray
from rerankit.stages.pillar import loss
from rerankit.stages.pillar.directions import Direction
from rerankit.stages.pillar.inference import batch_of, score
from rerankit.stages.pillar.network import PillarNetwork, node_scores
from rerankit.stages.pillar.settings import LossWeights
from rerankit.training import TrainingTask

if TYPE_CHECKING:
    from rerankit.stages.pillar.sides import TrainingSide


class PillarTask(TrainingTask):
    """Queries of both directions as one list of examples: first the rows of the problem, then its columns."""

    def __init__(
        self,
        model: Any,
        sides: dict[Direction, TrainingSide],
        weights: LossWeights,
        validation: dict[Direction, TrainingSide] | None = None,
    ) -> None:
        self.model = model
        self.sides, self.validation = sides, validation
        self.weights = weights
        self.rows = {direction: side.rows for direction, side in sides.items()}
        self.length = sum(len(rows) for rows in self.rows.values())

    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        total: dict[str, Tensor] = {}
        for direction, rows in self._by_direction(batch.numpy()):
            # Every direction counts the same, however many queries it has: its mean over all, not over this batch.
            share = self.length / len(self.rows[direction]) / len(batch)
            for name, values in self._terms(direction, rows, generator):
                total[name] = total.get(name, values.new_zeros(())) + values.sum() * share
        return total

    def _by_direction(self, batch: IntArray) -> Iterator[tuple[Direction, IntArray]]:
        start = 0
        for direction, rows in self.rows.items():
            inside = batch[(batch >= start) & (batch < start + len(rows))] - start
            start += len(rows)
            if len(inside):
                yield direction, rows[inside]

    def _terms(self, direction: Direction, rows: IntArray, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        side, weights = self.sides[direction], self.weights
        x, graph, mask = batch_of(side.space, rows, side.candidates[rows], side.threshold, self.device)
        targets = torch.from_numpy(side.targets[rows]).to(self.device)
        network = self._network(direction)
        nodes = network(x, graph, mask)
        scores = node_scores(nodes)
        if weights.contrastive:
            yield "contrastive", weights.contrastive * loss.contrastive(scores, targets, mask)
        if weights.hinge:
            yield "hinge", weights.hinge * loss.hinge(scores, x[:, :, 0], mask)
        if weights.triplet:
            yield "triplet", weights.triplet * loss.triplet(scores, targets, mask)
        if weights.reconstruction:
            guessed = network.reconstruct(nodes).float()
            yield "reconstruction", weights.reconstruction * loss.reconstruction(x, guessed, mask)
        if (weights.alignment or weights.aligned) and len(self.sides) > 1:
            yield from self._aligned(direction, rows, (scores, targets, graph), generator)

    def _aligned(
        self, direction: Direction, rows: IntArray, here: tuple[Tensor, Tensor, Tensor], generator: torch.Generator
    ) -> Iterator[tuple[str, Tensor]]:
        """The same neighbourhood from the other side: counterparts, through the other direction's network."""
        scores, targets, graph = here
        side = self.sides[direction]
        other = next(name for name in self.sides if name != direction)
        queries = side.counterparts(rows, generator)
        candidates = self.sides[other].counterparts(side.candidates[rows], generator)
        x = torch.from_numpy(self.sides[other].space.describe(queries, candidates)).to(self.device)
        mask = torch.from_numpy(np.concatenate([np.ones((len(rows), 1), bool), candidates >= 0], axis=1))
        mask = mask.to(self.device)
        counterpart = node_scores(self._network(other)(x, graph, mask))
        if self.weights.alignment:
            yield "alignment", self.weights.alignment * loss.alignment(scores, counterpart, mask)
        if self.weights.aligned:
            yield "aligned_contrastive", self.weights.aligned * loss.contrastive(counterpart, targets, mask)
            yield "aligned_hinge", self.weights.aligned * loss.hinge(counterpart, x[:, :, 0], mask)

    def validate(self) -> dict[str, float]:
        if not self.validation:
            return {}
        figures = {
            f"{direction}_r{k}": value
            for direction, side in self.validation.items()
            for k, value in side.success(self._scores(direction, side)).items()
        }
        return {"rsum": sum(figures.values()), **figures}

    def _scores(self, direction: str, side: TrainingSide) -> FloatArray:
        return score(self._network(direction), side.space, side.candidates, side.threshold)

    def _network(self, direction: str) -> PillarNetwork:
        return self.model[direction]  # type: ignore[index, no-any-return]
