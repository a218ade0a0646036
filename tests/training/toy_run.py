"""A tiny training task; run as a script it trains into a folder, and can kill itself on the way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from rerankit.training import TrainingSettings, TrainingTask, train

FEATURES = 6


class ToyTask(TrainingTask):
    """Linear regression with dropout noise: random enough that a wrong seed shows."""

    def __init__(self, length: int = 22, noise: float = 0.1, dropout: float = 0.2, kill_at: int = 0) -> None:
        generator = torch.Generator().manual_seed(3)
        self.length = length
        self.inputs = torch.randn(length, FEATURES, generator=generator)
        self.targets = self.inputs @ torch.arange(1.0, FEATURES + 1)
        self.model = nn.Sequential(nn.Linear(FEATURES, 8), nn.Dropout(dropout), nn.Linear(8, 1))
        for parameter in self.model.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
        self.noise, self.kill_at, self.calls = noise, kill_at, 0
        self.nan_at = self.stop_at = self.stop_parent = 0
        self.reads = {"inputs": self.inputs, "targets": self.targets, "noise": noise}

    def loss(self, batch: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        self.calls += 1
        if self.calls == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.calls == self.stop_at:
            os.kill(os.getppid(), self.stop_parent)
        inputs = self.inputs[batch]
        inputs = inputs + self.noise * torch.randn(inputs.shape, generator=generator)
        error = self.model(inputs).squeeze(1) - self.targets[batch]
        scale = float("nan") if self.calls == self.nan_at else 1.0
        return {"square": error.square().mean() * scale, "size": 0.1 * error.abs().mean()}

    def validate(self) -> dict[str, float]:
        error = self.model(self.inputs).detach().squeeze(1) - self.targets
        return {"fit": -float(error.square().mean()), "other": 1.0}


SETTINGS = TrainingSettings(
    epochs=4,
    batch_size=4,
    learning_rate=0.02,
    warmup=3,
    clip_norm=5.0,
    device="cpu",
    validate_every=5,
    save_every=2,
)


def weights(task: ToyTask) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in task.model.parameters()])


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    task = ToyTask(kill_at=kill_at)
    train(task, SETTINGS, folder)
    torch.save(weights(task), folder / "weights.pt")
