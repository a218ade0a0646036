"""The one training loop, and the frame of the stages that it trains.

`TrainingSettings`, `Trained` and `Reasoner` need no torch; everything else imports it on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rerankit.training.settings import TrainingSettings

if TYPE_CHECKING:
    from rerankit.training.history import History
    from rerankit.training.starting import train
    from rerankit.training.task import TrainingTask
    from rerankit.training.trained import Reasoner, Trained

__all__ = ["History", "Reasoner", "Trained", "TrainingSettings", "TrainingTask", "train"]

_HOMES = {
    "History": "history",
    "Reasoner": "trained",
    "Trained": "trained",
    "TrainingTask": "task",
    "train": "starting",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
