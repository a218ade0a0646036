"""The stage `pillar-small`."""

from __future__ import annotations

from inspect import Parameter, Signature, signature
from typing import Any

from rerankit.stages.pillar.stage import Pillar
from rerankit.training.settings import TrainingSettings

_SMALL: dict[str, Any] = {
    "candidates": (31, 15), "pillars": 32, "threshold": (0.8 / 32, 0.8 / 16), "width": 128, "heads": 4, "expansion": 2
}  # fmt: skip


def _small(parameter: Parameter) -> Parameter:
    return parameter.replace(default=_SMALL.get(parameter.name, parameter.default))


class PillarSmall(Pillar):
    """`pillar` at a size that trains on a laptop in minutes: its parameters with other default values.

    A candidate's score is the cosine of its node with the query's node, as there; nodes are narrower and have fewer
    pillars. On similarities of CLIP it loses, as `pillar` does.

    >>> PillarSmall().width, PillarSmall().neighbours
    (128, 10)
    """

    name = "pillar-small"
    __signature__ = Signature([_small(each) for each in signature(Pillar).parameters.values()])

    def __init__(self, *given: Any, **named: Any) -> None:
        bound = self.__signature__.bind(*given, **named)
        super().__init__(**{**_SMALL, **bound.arguments})

    def training_settings(self) -> TrainingSettings:
        """A few epochs, warmed up and cooled down."""
        return TrainingSettings(6, 256, 1e-3, schedule="one-cycle", weight_decay=0.01, clip_norm=1.0)
