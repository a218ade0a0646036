"""Where training runs and in which precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from rerankit.errors import rule

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def pick(device: str | torch.device = "auto") -> torch.device:
    """The device meant by a name; "auto" is the first CUDA device, or the CPU without one.

    >>> pick("cpu")
    device(type='cpu')
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise rule("device", "must be auto, cpu, cuda or cuda:N", str(device)) from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise rule("device", f"must be present; this machine shows {found} CUDA devices", str(device))
    return chosen


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context in which the forward pass runs in a precision ("float32", "bf16", "fp16").

    Parameters and the optimiser stay in float32. Half precision with its small range needs CUDA.
    """
    if precision == "float32":
        return nullcontext()
    if precision not in _HALF:
        raise rule("precision", "must be one of bf16, float32, fp16", precision)
    if precision == "fp16" and device.type != "cuda":
        raise rule("precision", f"fp16 needs a CUDA device, not {device}; bf16 works on both", precision)
    return torch.autocast(device.type, dtype=_HALF[precision])
