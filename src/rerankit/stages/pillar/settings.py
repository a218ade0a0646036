"""Weights of the losses; importable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from rerankit import checks


@dataclass(frozen=True)
class LossWeights:
    """Weights of the losses (see `rerankit.stages.pillar.loss`); a term of weight 0 is not computed.

    `aligned` weighs contrastive and hinge on the aligned pass, in which every query and candidate is replaced by a
    counterpart of the other side; `alignment` the divergence between the two passes.

    >>> LossWeights.of({"reconstruction": 0.1}).contrastive
    1.0
    """

    contrastive: float = 1.0
    hinge: float = 1.0
    triplet: float = 1.0
    reconstruction: float = 0.0
    alignment: float = 1.0
    aligned: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            checks.number(field.name, getattr(self, field.name), least=0)

    @classmethod
    def of(cls, weights: Mapping[str, float] | None) -> LossWeights:
        """The published weights but for those given."""
        for name in weights or {}:
            checks.choice("loss", name, [field.name for field in fields(cls)])
        return cls(**weights or {})
