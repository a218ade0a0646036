"""Training of pillar-plus: every example is a whole part of the training problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import InputError
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.pillar.plus.answers import answers
from rerankit.stages.pillar.plus.cells import cells_of, find
from rerankit.stages.pillar.plus.plan import log_share
from rerankit.stages.pillar.plus.settings import PlusSettings
from rerankit.stages.pillar.sides import targets_of
from rerankit.training import TrainingTask


class TrainingCells:
    """Cells of a problem with the grades of the right ones, 1 at most, and which of them are left out."""

    def __init__(self, problem: Problem, relevance: Relevance, settings: PlusSettings) -> None:
        self.cells = cells_of(problem, settings)
        width = relevance.shape[1]
        at = find(torch.from_numpy(relevance.rows * width + relevance.indices), self.cells.keys)
        best = float(relevance.grades.max())
        self.grades = torch.cat([torch.from_numpy(relevance.grades.copy()) / best, torch.zeros(1)])[at]
        gone = torch.from_numpy(relevance.excluded.keys)
        self.left_out = torch.isin(self.cells.keys, gone)

    def to(self, device: torch.device) -> TrainingCells:
        """Move to a device, in place."""
        self.cells, self.grades = self.cells.to(device), self.grades.to(device)
        self.left_out = self.left_out.to(device)
        return self


class PlusTask(TrainingTask):
    """Parts of the training problem as examples; `known` is what is kept of them besides the network."""

    def __init__(
        self, model: nn.Module, parts: list[TrainingCells], validation: HeldOut | None, known: dict[str, AnyArray]
    ) -> None:
        self.model, self.parts, self.validation, self.known = model, parts, validation, known
        self.length = len(parts)

    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        total = {"i2t": torch.zeros((), device=self.device), "t2i": torch.zeros((), device=self.device)}
        for number in batch.tolist():
            part = self.parts[number].to(self.device)
            for there, back in self.model(part.cells):
                total["i2t"] = total["i2t"] + listwise(there, part.cells.row, part, 0) / len(batch)
                total["t2i"] = total["t2i"] + listwise(back, part.cells.column, part, 1) / len(batch)
        return total

    def validate(self) -> dict[str, float]:
        return {} if self.validation is None else self.validation.figures(self.model, self.device)


class HeldOut:
    """A problem whose both directions are measured during training."""

    def __init__(
        self, problem: Problem, relevance: Relevance, settings: PlusSettings, diversity: tuple[float, float]
    ) -> None:
        self.part = TrainingCells(problem, relevance, settings)
        self.problem, self.diversity = problem, diversity
        kept = problem.excluding(relevance.excluded)
        self.sides = [
            (kept.ranking(100), relevance),
            (kept.reversed().ranking(100), relevance.reversed()),
        ]

    def figures(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Percent of queries with a relevant item among the first 1, 5, 10, both directions, and their sum."""
        cells = self.part.to(device).cells
        scores = model(cells)[-1]
        found: dict[str, float] = {}
        for at, (ranking, relevance) in enumerate(self.sides):
            answer = answers(cells, scores, ranking, self.problem, backwards=at == 1, diversity=self.diversity)
            order = Ranking.ordered(ranking.indices, np.where(ranking.mask, answer, -np.inf))
            right = targets_of(relevance, order.indices)[relevance.counts > 0, 1:] > 0
            name = ("i2t", "t2i")[at]
            found |= {f"{name}_r{k}": float(100 * right[:, :k].any(axis=1).mean()) for k in (1, 5, 10)}
        return {"rsum": sum(found.values()), **found}


def listwise(scores: Tensor, group: Tensor, part: TrainingCells, side: int) -> Tensor:
    """Mean over queries of −log of the share their right cells have of Σ exp(score), weighed by grade."""
    groups = part.cells.shape[side]
    scores = scores.masked_fill(part.left_out, -torch.inf)
    shares = log_share(scores, group, groups).exp() * part.grades
    right = scores.new_zeros(groups).index_add(0, group, shares)
    asked = scores.new_zeros(groups).index_add(0, group, (part.grades > 0).float()) > 0
    return -right[asked].clamp_min(1e-12).log().sum() / asked.sum().clamp_min(1)


def parts_of(
    problem: Problem, relevance: Relevance, settings: PlusSettings, count: int, seed: int, thinned: Sequence[int]
) -> Iterator[TrainingCells]:
    """Parts of a problem: half of its rows drawn at random, with the columns that are right for them.

    `thinned` says, part after part and then from the start again, how many right columns a row keeps; 0 means all.
    A part is a smaller problem of the same kind; several, with more and with fewer columns for a row, teach what does
    not depend on the gallery at hand.
    """
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        rows = np.sort(generator.permutation(problem.shape[0])[: max(1, problem.shape[0] // 2)])
        columns = _right_columns(relevance, rows, thinned[number % len(thinned)], generator)
        if not len(columns):
            raise InputError("'relevance' must name relevant items for most rows (got a half without any)")
        part = TrainingCells(problem.subset(rows, columns), relevance.subset(rows, columns), settings)
        if len(part.cells) < 2:
            raise InputError(f"'problem' must have more items to be halved (got {problem.shape}: one candidate pair)")
        yield part


def _right_columns(relevance: Relevance, rows: IntArray, most: int, generator: np.random.Generator) -> IntArray:
    """Columns that are right for some of the rows; of each row's, `most` at random (0: all)."""
    pairs = np.flatnonzero(np.isin(relevance.rows, rows))
    if most:
        shuffled = generator.permutation(pairs)
        by_row = shuffled[np.argsort(relevance.rows[shuffled], kind="stable")]
        owner = relevance.rows[by_row]
        pairs = by_row[np.arange(len(owner)) - np.searchsorted(owner, owner) < most]
    return np.unique(relevance.indices[pairs])
