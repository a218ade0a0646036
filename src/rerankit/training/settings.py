"""The settings of a training run: one frozen, checked record."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rerankit import checks

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "one-cycle", "step")
PRECISIONS = ("float32", "bf16", "fp16")
"""What networks run in: stages and training mean the same by each; some stages have "int8", too."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the task says what.

    `batch_size` is the number of examples of one backward pass over all devices together; `accumulate` such
    batches make one optimiser step, and every count of steps here (`warmup`, `validate_every`, `save_every`)
    means optimiser steps. `milestones` are epochs. `patience` counts validations without an improvement.

    >>> TrainingSettings(epochs=5, schedule="one-cycle").epochs
    5
    """

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    optimizer: str = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    clip_norm: float | None = None
    precision: str = "float32"
    accumulate: int = 1
    device: str = "auto"
    seed: int = 0
    patience: int | None = None
    validate_every: int | None = None
    save_every: int | None = None
    devices: int = 1

    def changed(self, **values: Any) -> TrainingSettings:
        """The same settings with some changed.

        >>> TrainingSettings().changed(epochs=3).epochs
        3
        """
        for name in values:
            checks.choice("training setting", name, [each.name for each in fields(self)])
        return replace(self, **values)

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name in ("epochs", "batch_size", "accumulate", "devices"):
            checks.integer(name, getattr(self, name), least=1)
        for name in ("patience", "validate_every", "save_every"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), least=1)
        for name in ("warmup", "seed"):
            checks.integer(name, getattr(self, name), least=0)
        for name in ("momentum", "weight_decay"):
            checks.number(name, getattr(self, name), least=0)
        for name in ("learning_rate", "gamma"):
            checks.number(name, getattr(self, name), above=0)
        if self.clip_norm is not None:
            checks.number("clip_norm", self.clip_norm, above=0)
        checks.choice("optimizer", self.optimizer, OPTIMIZERS)
        checks.choice("schedule", self.schedule, SCHEDULES)
        checks.choice("precision", self.precision, PRECISIONS)
        for epoch in self.milestones:
            checks.integer("milestones", epoch, least=1)
