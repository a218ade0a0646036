"""Published checkpoints: {'epoch', 'state_dict', 'recall'}, the state of both directions' networks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from rerankit import checks
from rerankit.arrays import IntArray
from rerankit.errors import FormatError, InputError
from rerankit.formats.pt import write_checkpoint
from rerankit.reading import check_state, read_state
from rerankit.reading.states import as_tensors, check_finite
from rerankit.stages.pillar.directions import DIRECTIONS
from rerankit.stages.pillar.stage import Pillar

GROUPS = ("inter-intra", "intra-inter")
QUERY = ("first", "last")
_PUBLISHED = {"width": 768, "heads": 24}
T = TypeVar("T")


def import_published(
    path: str | os.PathLike[str],
    *,
    heads: int | None = None,
    groups: str = "inter-intra",
    query: str = "first",
    **params: Any,
) -> Pillar:
    """The stage of a published checkpoint; only tensors and plain values are read, never code.

    Sizes are read from the shapes. The number of heads leaves no trace in them and must be given unless the width is
    the published one. The published code never says how its input columns are ordered, so that is a choice
    here: `groups` is the order of the two groups of pillars ("inter-intra", "intra-inter"), `query` the query's place
    in each ("first", "last"); weights are re-ordered to this library's layout (see `representation`). Other
    parameters of the stage (candidates, threshold, neighbours, device…) are passed on.
    """
    state = _state_dict(path)
    sizes = _sizes(state, str(path))
    columns = _columns(sizes["pillars"], groups, query)
    stage = Pillar(**{**sizes, "heads": _heads(sizes["width"], heads), **params})
    _check_fit(stage, state, str(path))
    weights = _reordered(state, columns, groups == "intra-inter")
    stage.set_weights({name: tensor.numpy() for name, tensor in weights.items()})
    return stage


def export_published(
    stage: Pillar,
    path: str | os.PathLike[str],
    *,
    epoch: int = 0,
    recall: Mapping[str, float] | None = None,
    groups: str = "inter-intra",
    query: str = "first",
) -> None:
    """Write a fitted stage as a published checkpoint; importing it again gives the same weights to the bit."""
    if not stage.fitted:
        raise InputError(f"'stage' must be fitted to be exported (got {stage!r})")
    columns = np.argsort(_columns(stage.pillars, groups, query))
    state = {name: torch.tensor(array) for name, array in stage.get_weights().items()}
    state = _reordered(state, columns, groups == "intra-inter")
    write_checkpoint(path, {"epoch": epoch, "state_dict": state, "recall": dict(recall or {})})


def _state_dict(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    state = read_state(path)
    check_finite(state, path)
    return {name: tensor.float() for name, tensor in as_tensors(state).items()}


def _sizes(state: dict[str, torch.Tensor], path: str) -> dict[str, Any]:
    known = [d for d in DIRECTIONS if f"model_{d}.topk_proj.weight" in state]
    if not known:
        raise FormatError(
            f"'{path}' is not a pillar checkpoint: it has no model_i2t.topk_proj.weight or "
            f"model_t2i.topk_proj.weight (got {sorted(state)[:3]}…)"
        )
    first = f"model_{known[0]}."
    width, columns = _shape(state, f"{first}topk_proj.weight", path)
    blocks = {int(found[1]) for name in state if (found := re.match(rf"{re.escape(first)}blocks\.(\d+)\.", name))}
    hidden = _shape(state, f"{first}blocks.0.mlp.fc1.weight", path)[0] if blocks else width
    return {
        "pillars": columns // 2,
        "width": width,
        "layers": len(blocks),
        "expansion": hidden // width,
        "bias": not blocks or f"{first}blocks.0.attn.qkv.bias" in state,
        **({"direction": known[0], "both": False} if len(known) == 1 else {}),
    }


def _shape(state: dict[str, torch.Tensor], name: str, path: str) -> tuple[int, int]:
    if name not in state or state[name].ndim != 2 or not state[name].numel():
        raise FormatError(f"'{path}' is not a pillar checkpoint: '{name}' is missing or no matrix")
    return state[name].shape[0], state[name].shape[1]


def _heads(width: int, heads: int | None) -> int:
    if heads is not None:
        return heads
    if width != _PUBLISHED["width"]:
        raise InputError(f"'heads' must be given: weights of width {width} do not show the number of heads")
    return _PUBLISHED["heads"]


def _check_fit(stage: Pillar, state: dict[str, torch.Tensor], path: str) -> None:
    known = [direction for direction in DIRECTIONS if f"model_{direction}.topk_proj.weight" in state]
    check_state(state, stage.build(known).state_dict(), f"'{path}'", "a pillar checkpoint")


def _columns(pillars: int, groups: str, query: str) -> IntArray:
    """For every column of this library's layout, the checkpoint's column."""
    checks.choice("groups", groups, GROUPS)
    checks.choice("query", query, QUERY)
    columns = np.arange(2 * pillars).reshape(2, pillars)
    if query == "last":
        columns = np.roll(columns, 1, axis=1)
    return (columns[::-1] if groups == "intra-inter" else columns).reshape(-1)


def _reordered(state: dict[str, torch.Tensor], columns: IntArray, swap: bool) -> dict[str, torch.Tensor]:
    """Weights that touch input columns, in another order of these."""
    order = torch.from_numpy(np.ascontiguousarray(columns))
    inside = order[: len(order) // 2] % (len(order) // 2)  # the two groups share their inner order
    takes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "topk_proj.weight": lambda t: t[:, order],
        "feature_align.layers.0.weight": lambda t: t[order],
        "feature_align.layers.0.bias": lambda t: t[order],
    }
    takes |= {f"{norm}.{part}": lambda t: t[inside] for norm in ("ln", "ln1") for part in ("weight", "bias")}
    result = {}
    for name, tensor in state.items():
        prefix, _, rest = name.partition(".")
        target = re.sub(r"^ln(1?)\.", lambda m: "ln." if m[1] else "ln1.", rest) if swap else rest
        result[f"{prefix}.{target}"] = takes.get(rest, torch.clone)(tensor).contiguous()
    return result
