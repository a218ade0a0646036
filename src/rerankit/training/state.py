"""The state of a run and its file: everything an exact continuation needs, and nothing that is code."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rerankit.errors import FormatError, InputError
from rerankit.formats.pt import write_checkpoint
from rerankit.reading import read_checkpoint
from rerankit.reading.states import with_tensors
from rerankit.training.settings import TrainingSettings
from rerankit.training.task import TrainingTask

FORMAT = 1
CHECKPOINT = "checkpoint.pt"
Weights = dict[str, Tensor]


@dataclass
class Progress:
    """Where a run stands. Randomness needs no state: it is seeded for each step."""

    step: int = 0
    epoch: int = 0
    group: int = 0
    best: float | None = None
    best_step: int | None = None
    waited: int = 0
    finished: str = ""
    counted: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)


def snapshot(model: nn.Module) -> Weights:
    """A copy on the CPU of everything training changes: trained parameters and buffers, not frozen parts."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    state = model.state_dict()
    return {name: t.detach().to("cpu", copy=True) for name, t in state.items() if name not in frozen}


def restore(model: nn.Module, weights: Weights) -> None:
    """Put a snapshot back."""
    model.load_state_dict(weights, strict=False)


def finite(model: nn.Module) -> bool:
    """Whether everything training changes is a finite number."""
    return all(bool(tensor.isfinite().all()) for tensor in snapshot(model).values())


def save(path: Path, payload: dict[str, Any]) -> None:
    """Write a checkpoint so that a kill at any moment leaves the old or the new one."""
    write_checkpoint(path, {"format": FORMAT, **payload})


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are accepted."""
    try:
        payload = with_tensors(read_checkpoint(path))
    except FormatError as error:
        raise FormatError(f"{error}; remove it to begin again") from error
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise FormatError(f"'{path}' is not a training checkpoint of format {FORMAT}, and stays: choose another folder")
    return payload


def identity(settings: TrainingSettings, task: TrainingTask) -> dict[str, Any]:
    """What must be the same for a run to be continued."""
    told = {name: value for name, value in asdict(settings).items() if name != "device"}
    shapes = {name: list(t.shape) for name, t in task.model.state_dict().items()}
    said = {"settings": {**told, "milestones": list(settings.milestones)}, "told": dict(task.told)}
    return {**said, "length": task.length, "shapes": shapes}


def check_identity(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to continue another run."""
    changed = [
        f"{name} {found['settings'].get(name)!r} there, {value!r} here"
        for name, value in wanted["settings"].items()
        if found["settings"].get(name) != value
    ]
    changed += [
        f"{what} differ{'s' * (what == 'length')}" for what in ("length", "shapes") if found[what] != wanted[what]
    ]
    there, here = found.get("told", wanted["told"]), wanted["told"]  # earlier checkpoints do not say
    changed += [
        f"other {name}" for name in dict.fromkeys((*there, *here)) if not _alike(there.get(name), here.get(name))
    ]
    if changed:
        raise InputError(
            f"'{path}' belongs to another run ({'; '.join(changed)}); choose another folder, or begin anew: "
            "resume=False, --restart"
        )


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-6)
    return bool(one == other)
