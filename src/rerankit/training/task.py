"""What a system gives to the training loop."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from rerankit.problem import Problem
from rerankit.relevance import Relevance

Told: TypeAlias = dict[str, str | float]
_SAMPLE = 256  # queries whose highest scores tell problems apart


class TrainingTask(ABC):
    """A model, its examples and its losses; the loop does the rest.

    `model` holds the trained parameters (those that require a gradient); at the end of a run the best weights
    are in it. `length` is the number of examples of one epoch: the loop draws a seeded permutation of them
    and cuts it into batches. With several devices every process holds a copy of the task. `told` is what else must be
    the same for an interrupted run to go on: texts to the letter, numbers to a thousandth, since those that come
    from scores differ a little from machine to machine.
    """

    model: nn.Module
    length: int
    told: Mapping[str, str | float] = MappingProxyType({})

    @abstractmethod
    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Named loss terms of the examples `batch` (int64, on the CPU); their sum is minimised.

        Terms should be means over the examples, so that accumulation and several devices equal one large
        batch. All randomness must come from `generator` (CPU) or from torch's own generators (dropout); both
        are seeded for each step, so that a resumed run repeats an uninterrupted one.
        """

    def validate(self) -> dict[str, float]:
        """Validation figures, higher is better; the first decides which weights are best. Empty: none."""
        return {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser, as torch takes them."""
        return [{"params": [p for p in self.model.parameters() if p.requires_grad]}]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device


def told_of(training: tuple[Problem, Relevance], validation: tuple[Problem, Relevance] | None) -> Told:
    """What tells the data of a run apart from other data of its size, for `TrainingTask.told`."""
    return _told("training", training) | _told("validation", validation)


def _told(name: str, data: tuple[Problem, Relevance] | None) -> Told:
    if data is None:
        return {name: "none"}
    problem, relevance = data
    total = hashlib.sha256(repr(relevance.shape).encode())
    for array in (relevance.indptr, relevance.indices, relevance.grades, relevance.excluded.indices):
        total.update(array.tobytes())
    highest = problem.scores.rows(slice(0, _SAMPLE)).max(axis=1).astype(np.float64)
    known = highest[np.isfinite(highest)]
    return {
        f"{name}: relevant items": total.hexdigest(),
        f"{name}: highest scores": float(known.mean()) if len(known) else 0.0,
        f"{name}: their deviation": float(known.std()) if len(known) else 0.0,
    }
