"""Weights by name, as checkpoints have them: taken out, compared and explained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, AnyArray]
_SHOWN = 5


def plain_names(content: Any, path: str | os.PathLike[str], what: str = "names and tensors") -> State:
    """Arrays by name; a name loses the "module." that it gets where a model was trained on several devices."""
    if not isinstance(content, Mapping) or not all(isinstance(value, np.ndarray) for value in content.values()):
        got = sorted(map(str, content))[:_SHOWN] if isinstance(content, Mapping) else type(content).__name__
        raise FormatError(f"'{path}' must hold {what} (got {got})")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def check_finite(state: Mapping[str, AnyArray], path: str | os.PathLike[str]) -> None:
    """Refuse weights that are not finite numbers."""
    odd = [name for name, array in state.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if odd:
        raise FormatError(f"'{path}' must hold finite numbers (got others in {', '.join(odd[:_SHOWN])})")


def compare_states(
    found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], *, unknown: bool = True
) -> list[str]:
    """What differs between the shapes of two states, a line for each name; `unknown`: also names that are not wanted.

    >>> compare_states({"a": (2,), "b": (3,)}, {"a": (4,), "c": ()})
    ['c is missing', 'b is unknown', 'a has shape (2,), not (4,)']
    """
    faults = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    if unknown:
        faults += [f"{name} is unknown" for name in sorted(found.keys() - wanted.keys())]
    shared = sorted(wanted.keys() & found.keys())
    differing = [name for name in shared if tuple(wanted[name]) != tuple(found[name])]
    return faults + [f"{name} has shape {tuple(found[name])}, not {tuple(wanted[name])}" for name in differing]


def check_state(found: Mapping[str, Any], wanted: Mapping[str, Any], where: str, what: str) -> None:
    """Refuse arrays or tensors that are not those that a network has: `where` and `what` begin the message."""
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (found, wanted)]
    faults = compare_states(*shapes)
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise FormatError(f"{where} is not {what}: {'; '.join(faults[:_SHOWN])}{more}")


def as_tensors(state: Mapping[str, AnyArray]) -> dict[str, Tensor]:
    """Copies of arrays as tensors of torch."""
    import torch

    return {name: torch.from_numpy(np.array(array)) for name, array in state.items()}


def with_tensors(content: Any) -> Any:
    """A checkpoint's content with tensors of torch in the place of arrays."""
    import torch

    if isinstance(content, np.ndarray):
        return torch.from_numpy(np.array(content))
    if isinstance(content, dict):
        return {key: with_tensors(value) for key, value in content.items()}
    return type(content)(map(with_tensors, content)) if isinstance(content, list | tuple) else content
