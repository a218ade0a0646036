"""The optimiser a run asks for."""

from __future__ import annotations

import torch

from rerankit.errors import rule
from rerankit.training.settings import TrainingSettings
from rerankit.training.task import TrainingTask


def build(task: TrainingTask, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser over the task's parameter groups; a group's own "lr" and "weight_decay" win."""
    groups = task.parameter_groups()
    if not any(group["params"] for group in groups):
        raise rule("task", "must have parameters to train", 0)
    decay, rate = settings.weight_decay, settings.learning_rate
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, weight_decay=decay)
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, weight_decay=decay)
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
