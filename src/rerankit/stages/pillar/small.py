"""The stage `pillar-small`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rerankit.stages.pillar.directions import Direction
from rerankit.stages.pillar.stage import Pillar

if TYPE_CHECKING:
    from rerankit.training import TrainingSettings


class PillarSmall(Pillar):
    """`pillar` at a size that trains on a laptop in minutes.

    >>> PillarSmall().width
    128
    """

    name = "pillar-small"

    def __init__(
        self,
        direction: Direction = "i2t",
        candidates: int | Sequence[int] = (31, 15),
        pillars: int = 32,
        neighbours: int = 10,
        threshold: float | Sequence[float] = (0.8 / 32, 0.8 / 16),
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        expansion: int = 2,
        bias: bool = True,
        form: str = "dense",
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        bank: Any = None,
    ) -> None:
        super().__init__(
            direction, candidates, pillars, neighbours, threshold, width, depth, heads, expansion, bias, form,
            device, precision, compile, bank,
        )  # fmt: skip

    def training_settings(self) -> TrainingSettings:
        """A few epochs, warmed up and cooled down."""
        from rerankit.training import TrainingSettings

        return TrainingSettings(6, 256, 1e-3, schedule="one-cycle", weight_decay=0.01, clip_norm=1.0)
