"""The loss of both stages: cross-entropy of the right candidate among those of the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def in_batch(scores: Tensor, wrong: Tensor) -> Tensor:
    """Cross-entropy on the diagonal of `scores` (B, C ≥ B).

    Column i is query i's target. Columns for which `wrong` (B, C) is false, other than the diagonal, are left
    out: another query's target may be right for this query too.

    >>> import torch
    >>> scores = torch.tensor([[2.0, 5.0], [0.0, 2.0]])
    >>> in_batch(scores, torch.tensor([[False, False], [True, False]])).round(decimals=4)
    tensor(0.0635)
    """
    rows = torch.arange(len(scores), device=scores.device)
    keep = wrong.clone()
    keep[rows, rows] = True
    return F.cross_entropy(scores.float().masked_fill(~keep, float("-inf")), rows)


def contrastive(queries: Tensor, targets: Tensor, temperature: Tensor, wrong: Tensor) -> Tensor:
    """`in_batch` of unit vectors (B, d) over a temperature, which is kept within 0.001…0.5."""
    return in_batch(queries @ targets.T / temperature.clamp(0.001, 0.5), wrong)
