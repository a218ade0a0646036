"""The settings of a training run: one frozen, checked record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any

from rerankit.errors import rule, unknown_name

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
        known = [each.name for each in fields(self)]
        for name in values:
            if name not in known:
                raise unknown_name("training setting", name, known)
        return replace(self, **values)

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        for name in ("epochs", "batch_size", "accumulate", "devices"):
            _at_least(name, getattr(self, name), 1)
        for name in ("patience", "validate_every", "save_every"):
            _at_least(name, getattr(self, name), 1, optional=True)
        for name in ("warmup", "seed"):
            _at_least(name, getattr(self, name), 0)
        for name in ("momentum", "weight_decay"):
            _number(name, getattr(self, name), zero=True)
        for name in ("learning_rate", "gamma"):
            _number(name, getattr(self, name))
        if self.clip_norm is not None:
            _number("clip_norm", self.clip_norm)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("precision", self.precision, PRECISIONS)
        for epoch in self.milestones:
            _at_least("milestones", epoch, 1)


def _at_least(name: str, value: Any, least: int, *, optional: bool = False) -> None:
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise rule(name, f"must be a whole number of at least {least}{' or None' * optional}", value)


def _number(name: str, value: Any, *, zero: bool = False) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (value >= 0 if zero else value > 0) or value == float("inf"):
        raise rule(name, "must be a finite number of at least 0" if zero else "must be positive", value)


def _one_of(name: str, value: Any, choices: Collection[str]) -> None:
    if value not in choices:
        raise rule(name, f"must be one of {', '.join(choices)}", value)
