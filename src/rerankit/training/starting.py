"""Where a training starts: in this process, or in several."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from rerankit.errors import TrainingError, rule
from rerankit.training import processes, state
from rerankit.training.devices import pick
from rerankit.training.folder import Folder
from rerankit.training.history import History
from rerankit.training.loop import Run
from rerankit.training.settings import TrainingSettings
from rerankit.training.task import TrainingTask


def train(
    task: TrainingTask,
    settings: TrainingSettings | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    resume: bool = True,
) -> History:
    """Train `task.model`; afterwards it holds the best weights (without validation: the last).

    With `out`, the folder gets a checkpoint at every validation (and every `save_every` steps), history.csv
    and, at the end, curves.png. A run that was killed continues from its checkpoint as if nothing had
    happened: on the CPU with the same number of threads the weights are the same to the bit. A loss or
    gradient that is not finite raises `TrainingError` with the step; the model then holds the best weights.
    """
    settings = settings or TrainingSettings()
    if task.length < 1:
        raise rule("task", "must have at least one example", task.length)
    if settings.devices > 1 and not processes.launched():
        return _train_in_processes(task, settings, out, resume)
    return _run(task, settings, out, resume, None if out is None else state.identity(settings, task))


def _run(
    task: TrainingTask,
    settings: TrainingSettings,
    out: str | os.PathLike[str] | None,
    resume: bool,
    identity: dict[str, Any] | None,
) -> History:
    device = _own_device(settings)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        return Run(task, settings, Path(out) if out is not None else None, device, identity or {}).go(resume)


def _train_in_processes(
    task: TrainingTask, settings: TrainingSettings, out: str | os.PathLike[str] | None, resume: bool
) -> History:
    identity = state.identity(settings, task)
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(out if out is not None else spare)
        begun = Folder(folder).read(resume, clear=True)  # which refuses to lose a file of somebody else
        if begun is not None:
            state.check_identity(folder / state.CHECKPOINT, begun, identity)
        if not resume:
            Folder(folder).remove()
        try:
            processes.launch(_run, (task, settings, folder, True, identity), settings.devices)
        except TrainingError:  # the model gets what was good there
            payload = state.load(folder / state.CHECKPOINT)
            state.restore(task.model, payload["best"] or payload["weights"])
            raise
        return _run(task, settings, folder, True, identity)


def _own_device(settings: TrainingSettings) -> torch.device:
    device = pick(settings.device)
    if processes.launched() and device.type == "cuda":
        return pick(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
    return device
