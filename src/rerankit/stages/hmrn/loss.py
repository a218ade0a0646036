"""The training loss: InfoNCE in both directions on each of the three levels."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.network import LevelScores


def info_nce(scores: Tensor, scale: float) -> Tensor:
    """InfoNCE of pairs on the diagonal, summed over both directions: (..., b, b) -> (...).

    >>> import torch
    >>> info_nce(torch.eye(3), 40.0) < 1e-6
    tensor(True)
    """
    logits = scale * scores
    rows = F.log_softmax(logits, dim=-1).diagonal(dim1=-2, dim2=-1)
    columns = F.log_softmax(logits, dim=-2).diagonal(dim1=-2, dim2=-1)
    return -(rows + columns).mean(dim=-1)


def level_losses(levels: LevelScores, config: HmrnConfig) -> dict[str, Tensor]:
    """The weighted terms, whose sum is minimised; the local one is the mean over the rounds."""
    local, overall, reasoning = config.level_weights
    terms: dict[str, Tensor] = {}
    if local:
        terms["local"] = local * info_nce(levels.local, config.scale).mean()
    if overall:
        terms["global"] = overall * info_nce(levels.overall, config.scale)
    if reasoning:
        terms["reasoning"] = reasoning * info_nce(levels.reasoning, config.scale)
    return terms
