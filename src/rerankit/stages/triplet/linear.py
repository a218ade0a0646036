"""Linear layers of the packed scorer in three precisions: float32, half, and dynamic int8."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from rerankit import checks
from rerankit.training.settings import PRECISIONS

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Linear(Protocol):
    """Anything that maps (N, inputs) to (N, outputs)."""

    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor: ...


class FloatLinear:
    """Weights and product in `dtype`, whatever the input; the output stays in `dtype`."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self.weight, self.bias, self.dtype = weight.to(dtype), bias.to(dtype), dtype

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.dtype), self.weight, self.bias)


class Int8Linear:
    """8-bit weights with one scale per output; inputs quantised when used, one scale per row.

    >>> import torch
    >>> weight, x = torch.tensor([[1.0, -2.0], [0.5, 0.25]]), torch.tensor([[3.0, 1.0]])
    >>> Int8Linear(weight, torch.zeros(2))(x).round(decimals=1)
    tensor([[1.0000, 1.7000]])
    """

    ROWS = 17
    """CUDA's int8 product wants more than 16 rows; fewer are padded."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.dtype = torch.float32
        self.scale = weight.abs().amax(dim=1).clamp_min(1e-12) / 127
        self.weight = (weight / self.scale[:, None]).round().to(torch.int8).T
        self.bias = bias.float()

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.float().reshape(-1, x.shape[-1])
        scale = rows.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127
        small = (rows / scale).round_().to(torch.int8)
        if x.is_cuda and len(small) < self.ROWS:
            small = F.pad(small, (0, 0, 0, self.ROWS - len(small)))
        product = torch._int_mm(small, self.weight)[: len(rows)]
        out = product.float().mul_(scale).mul_(self.scale).add_(self.bias)
        return out.view(*x.shape[:-1], -1)


def make_linear(weight: Tensor, bias: Tensor, precision: str) -> Linear:
    """The layer in `precision`, one of float32, bf16, fp16, int8."""
    checks.choice("precision", precision, (*PRECISIONS, "int8"))
    if precision == "int8":
        return Int8Linear(weight, bias)
    return FloatLinear(weight, bias, HALF.get(precision, torch.float32))
