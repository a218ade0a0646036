"""The state of a run and its file: everything an exact continuation needs, and nothing that is code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rerankit.checksums import checksums_of
from rerankit.errors import FormatError, InputError
from rerankit.formats.pt import write_checkpoint
from rerankit.plugins.code import code_of
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
    """What must be the same for a run to be continued: settings, and checksums of all that training reads."""
    reads = {name: value for name, value in vars(task).items() if name not in ("model", "reads")}
    reads = {**(reads if task.reads is None else task.reads), "length": task.length}
    known = {name: value for name, value in asdict(settings).items() if name != "device"}
    begins = {"weights to begin with": task.model, "version of the code": code_of([type(task), type(task.model)])}
    return {
        "settings": {**known, "milestones": list(settings.milestones)},
        "reads": checksums_of({**reads, **begins}),
    }


def check_identity(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to continue another run."""
    changed = [
        f"{name} {found['settings'].get(name)!r} there, {value!r} here"
        for name, value in wanted["settings"].items()
        if found["settings"].get(name) != value
    ]
    there, here = found.get("reads", {}), wanted["reads"]
    changed += [f"other {name}" for name in dict.fromkeys((*there, *here)) if there.get(name) != here.get(name)]
    if "reads" not in found:
        changed = ["it does not say what it was trained on"]
    if changed:
        raise InputError(
            f"'{path}' belongs to another run ({'; '.join(changed)}); choose another folder, or begin again: "
            "resume=False, --restart"
        )
