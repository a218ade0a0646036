"""The sizes and temperatures of one hierarchical scorer, checked where they enter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rerankit import checks
from rerankit.errors import rule
from rerankit.training.settings import TrainingSettings
from rerankit.values import Plain

VARIANTS = ("I-T", "T-I")
"""Which side the local level attends with: each region over the queries, or each query over the regions."""

PUBLISHED = TrainingSettings(
    epochs=150, batch_size=128, learning_rate=4e-4, optimizer="adam", schedule="step", milestones=(75,), clip_norm=2.0
)
"""The published training: Adam 4e-4, a tenth of it after half of 150 epochs, batch 128, gradient norm 2."""

# exp(temperature) must stay far inside float32, since the local level does not subtract a maximum first.
HOTTEST = 60.0


@dataclass(frozen=True)
class HmrnConfig(Plain):
    """Everything that decides the shapes and the arithmetic of one network; the defaults are the published ones.

    >>> HmrnConfig().level_weights
    (0.6, 0.1, 0.3)
    >>> HmrnConfig(variant="I-T", dim=32).round_weight(10)
    1.0
    """

    variant: str = "I-T"
    region_dim: int = 2048
    dim: int = 256
    reasoning_dim: int = 256
    steps: int = 3
    region_slots: int = 36
    vocabulary_size: int = 14284
    word_dim: int = 300
    text_layers: int = 1
    bidirectional: bool = True
    text_model: str | None = None
    region_temperature: float = 5.0
    query_temperature: float = 15.0
    local_weight: float = 0.6
    global_weight: float = 0.1
    reasoning_weight: float = 0.3
    full_rounds: int = 10
    scale: float = 40.0
    dropout: float = 0.4
    normalise_regions: bool = True
    normalise_queries: bool = True

    def __post_init__(self) -> None:
        checks.choice("variant", self.variant, VARIANTS)
        self._check_counts()
        for name in ("region_temperature", "query_temperature"):
            checks.number(name, getattr(self, name), above=0, most=HOTTEST)
        checks.number("scale", self.scale, above=0)
        for name in ("local_weight", "global_weight", "reasoning_weight"):
            checks.number(name, getattr(self, name), least=0)
        if not checks.number("dropout", self.dropout, least=0) < 1:
            raise rule("dropout", "must be below 1", self.dropout)

    def _check_counts(self) -> None:
        for name in ("region_dim", "dim", "reasoning_dim", "steps", "region_slots", "vocabulary_size",
                     "word_dim", "text_layers", "full_rounds"):  # fmt: skip
            checks.integer(name, getattr(self, name), least=1)

    @property
    def level_weights(self) -> tuple[float, float, float]:
        """Weights of the local, global and reasoning level in the joint score."""
        return self.local_weight, self.global_weight, self.reasoning_weight

    def cheap_share(self, local: Any, overall: Any) -> Any:
        """The local and the global level's share of the joint score, of numbers, arrays or tensors alike.

        The one formula for it: head and tail of a cascade must part at the same place.

        >>> HmrnConfig().cheap_share(0.5, 1.0)
        0.4
        """
        return self.local_weight * local + self.global_weight * overall

    def round_weight(self, rounds: int) -> float:
        """How much of the reasoning level counts after `rounds` rounds: little at first, all of it at `full_rounds`.

        >>> [HmrnConfig().round_weight(t) for t in (1, 2, 5, 12)]
        [0.02, 0.05, 0.27, 1.0]
        """
        full = self.full_rounds * (self.full_rounds + 1) // 2
        return min(1.0, round(rounds * (rounds + 1) / 2 / full, 2))


def checked_rounds(rounds: Any) -> str | int:
    """The parameter `rounds`: "last", "all" or a number of them."""
    if isinstance(rounds, str):
        return checks.choice("rounds", rounds, ("last", "all"))
    return checks.integer("rounds", rounds, least=1)


def checked_cascade(cascade: Any) -> int | str | None:
    """The parameter `cascade`: a number of candidates, None or "auto"."""
    if cascade is None:
        return None
    if cascade == "auto":
        return "auto"
    if isinstance(cascade, str):
        raise rule("cascade", "must be a number of candidates, None for all, or 'auto'", cascade)
    return checks.integer("cascade", cascade, least=1)
