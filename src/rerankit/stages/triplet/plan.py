"""What to train, and how. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rerankit.errors import rule
from rerankit.training.settings import TrainingSettings
from rerankit.values import Plain

PUBLISHED = TrainingSettings(
    epochs=20, batch_size=16, learning_rate=2e-5, optimizer="adamw", weight_decay=0.05, schedule="cosine"
)
"""Stage II's published settings (stage I's are alike)."""
STAGES = ("filter", "dual")


@dataclass(frozen=True)
class TripletPlan(Plain):
    """Which stages to train, with which settings, and what learns.

    `settings` holds for both stages, `filter` and `dual` change some of it for one. `tune_images` names the
    stages whose image encoder learns too, with `checkpointing` at less memory and more time. Stage II sees
    `hard_negatives` wrong candidates of each query besides those of its batch, out of the first `depth` of stage I
    where it is trained in the same run, else of the problem's scores. `sizes` are those of a network started from
    random weights.

    >>> TripletPlan(dual={"epochs": 3}).of("dual").epochs
    3
    """

    called = "entry of 'training'"

    stages: tuple[str, ...] = STAGES
    settings: TrainingSettings = PUBLISHED
    filter: Mapping[str, Any] = field(default_factory=dict)
    dual: Mapping[str, Any] = field(default_factory=dict)
    tune_images: tuple[str, ...] = ()
    hard_negatives: int = 0
    depth: int = 50
    checkpointing: bool = False
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("stages", "tune_images"):
            given: Any = getattr(self, name)
            if isinstance(given, str) or not set(given) <= set(STAGES):
                raise rule(name, "must be a tuple of 'filter' and 'dual'", given)
            object.__setattr__(self, name, tuple(given))
        if self.hard_negatives < 0:
            raise rule("hard_negatives", "must not be negative", self.hard_negatives)
        if self.depth < 1:
            raise rule("depth", "must be at least 1", self.depth)
        for stage in STAGES:
            self.of(stage)

    def of(self, stage: str) -> TrainingSettings:
        """The settings of one stage."""
        return self.settings.changed(**getattr(self, stage))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> TripletPlan:
        """From plain values, as a stage's parameter `training` holds them."""
        values = dict(values or {})
        if isinstance(values.get("settings"), Mapping):
            values["settings"] = PUBLISHED.changed(**values["settings"])
        return super().from_dict(values)
