"""The stage `pillar-small`."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from types import FunctionType
from typing import Any, ParamSpec

from rerankit.stages.pillar.stage import Pillar
from rerankit.training.settings import TrainingSettings

P = ParamSpec("P")


def with_defaults(function: Callable[P, None], **defaults: Any) -> Callable[P, None]:
    """A copy of a function (without keyword-only parameters) with other default values, which its signature shows.

    >>> def show(size=1, name="a"): print(size, name)
    >>> with_defaults(show, size=2)()
    2 a
    """
    assert isinstance(function, FunctionType)
    given = {p.name: p.default for p in signature(function).parameters.values() if p.default is not p.empty}
    assert defaults.keys() <= given.keys(), f"no parameter with a default: {sorted(defaults.keys() - given.keys())}"
    values = tuple((given | defaults).values())
    copy = FunctionType(function.__code__, function.__globals__, function.__name__, values, function.__closure__)
    copy.__annotations__ = function.__annotations__
    return copy


class PillarSmall(Pillar):
    """`pillar` at a size that trains on a laptop in minutes: its parameters with other default values.

    >>> PillarSmall().width, PillarSmall().neighbours
    (128, 10)
    """

    name = "pillar-small"

    __init__ = with_defaults(
        Pillar.__init__,
        candidates=(31, 15),
        pillars=32,
        threshold=(0.8 / 32, 0.8 / 16),
        width=128,
        heads=4,
        expansion=2,
    )

    def training_settings(self) -> TrainingSettings:
        """A few epochs, warmed up and cooled down."""
        return TrainingSettings(6, 256, 1e-3, schedule="one-cycle", weight_decay=0.01, clip_norm=1.0)
