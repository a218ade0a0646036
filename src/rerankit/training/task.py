"""What a system gives to the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class TrainingTask(ABC):
    """A model, its examples and its losses; the loop does the rest.

    `model` holds the trained parameters (those that require a gradient); at the end of a run the best weights
    are in it. `length` is the number of examples of one epoch: the loop draws a seeded permutation of them
    and cuts it into batches. With several devices every process holds a copy of the task.

    A run goes on only with what it was begun with. `reads` names all that decides it besides the settings, the model
    and the code: problems, what is right in them, parameters. Without it, that is every attribute of the task; one
    that is made of others in steps that may round (scores, lists of candidates) is better left out by naming them.
    """

    model: nn.Module
    length: int
    reads: Mapping[str, Any] | None = None

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
