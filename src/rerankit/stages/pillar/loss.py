"""The losses of one direction's scores; every one gives a value per query.

Rows hold the query itself first (its score is 1 and it counts as right), then the candidates. `scores`,
`targets` and `present` are (queries, nodes); `targets` are weights in 0…1, zero for a wrong item.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive(scores: Tensor, targets: Tensor, present: Tensor | None = None, temperature: float = 2.0) -> Tensor:
    """−log of the share that right nodes have of Σ exp(score / temperature)."""
    logits = _absent_to(scores / temperature, present, -torch.inf)
    right = torch.where(targets > 0, logits + targets.clamp_min(1e-12).log(), -torch.inf)
    return logits.logsumexp(dim=-1) - right.logsumexp(dim=-1)


def hinge(scores: Tensor, original: Tensor, present: Tensor | None = None) -> Tensor:
    """How far new scores fall below the lowest original one, summed over the nodes."""
    lowest = _absent_to(original, present, torch.inf).amin(dim=-1, keepdim=True)
    return _absent_to((lowest - scores).clamp_min(0), present, 0.0).sum(dim=-1)


def triplet(scores: Tensor, targets: Tensor, present: Tensor | None = None, margin: float = 0.2) -> Tensor:
    """How far wrong nodes come within `margin` of the lowest right one, summed over the wrong nodes."""
    right = targets > 0
    lowest = scores.masked_fill(~right, torch.inf).amin(dim=-1, keepdim=True)
    excess = (margin + scores - lowest).clamp_min(0).masked_fill(right, 0.0)
    return _absent_to(excess, present, 0.0).sum(dim=-1)


def reconstruction(x: Tensor, guessed: Tensor, present: Tensor | None = None) -> Tensor:
    """Distance of the pillar similarities (queries, nodes, columns) from a guess, both at length 1."""
    distance: Tensor = (F.normalize(x, dim=-1) - F.normalize(guessed, dim=-1)).norm(dim=-1)
    if present is None:
        return distance.mean(dim=-1)
    return (distance * present).sum(dim=-1) / present.sum(dim=-1)


def alignment(scores: Tensor, counterpart: Tensor, present: Tensor | None = None) -> Tensor:
    """KL divergence of the counterpart's softmax from the softmax of the scores."""
    ours = _absent_to(scores, present, -torch.inf).log_softmax(dim=-1)
    theirs = _absent_to(counterpart, present, -torch.inf).log_softmax(dim=-1)
    gap = _absent_to(ours - theirs, present, 0.0)
    return (ours.exp() * gap).sum(dim=-1)


def _absent_to(values: Tensor, present: Tensor | None, fill: float) -> Tensor:
    return values if present is None else values.masked_fill(~present, fill)
