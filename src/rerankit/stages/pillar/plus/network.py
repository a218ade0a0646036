"""The network of pillar-plus: rounds of columns → a small network → a better plan."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rerankit.stages.pillar.plus.cells import Cells
from rerankit.stages.pillar.plus.columns import COLUMNS, first_messages, kept, messages
from rerankit.stages.pillar.plus.plan import over_columns, over_rows
from rerankit.stages.pillar.plus.settings import PlusSettings

_BOUND = 5.0  # standard deviations beyond which a column says no more
_BALANCING = 2


class Round(nn.Module):
    """Corrections (cells, 3) from columns (cells, n): to the plan, and to the two directions' scores.

    Both parts begin at zero, so that an untrained round leaves the plan as it is.
    """

    def __init__(self, columns: int, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(columns, affine=False)
        self.linear = nn.Linear(columns, 3)
        inner = [nn.Linear(columns, width), nn.GELU(), nn.Dropout(dropout)]
        inner += [nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)]
        last = nn.Linear(width, 3)
        self.net = nn.Sequential(*inner, last)
        for layer in (self.linear, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, columns: Tensor) -> Tensor:
        normed = self.norm(columns).clamp(-_BOUND, _BOUND)
        return self.linear(normed) + self.net(normed)  # type: ignore[no-any-return]


class PlusNetwork(nn.Module):
    """Rounds that refine one plan; after each, the scores of both directions."""

    kept: Tensor

    def __init__(self, settings: PlusSettings) -> None:
        super().__init__()
        rounds = [Round(len(COLUMNS), settings.width, settings.dropout) for _ in range(settings.rounds)]
        self.rounds = nn.ModuleList(rounds)
        self.register_buffer("kept", kept(settings.off) if settings.off else torch.ones(len(COLUMNS)), persistent=False)

    def forward(self, cells: Cells) -> list[tuple[Tensor, Tensor]]:
        """For every round the scores (cells,) of i2t and of t2i."""
        plan = cells.first_plan
        scores: list[tuple[Tensor, Tensor]] = []
        for one in self.rounds:
            heard = first_messages(cells) if not scores else messages(cells, plan)
            change = one(torch.cat([cells.fixed, heard], dim=1) * self.kept)
            plan = plan + change[:, 0]
            scores.append((plan + change[:, 1], plan + change[:, 2]))
            # A round takes the plan as given: gradients through the messages made training slower, not better.
            plan = plan.detach()
            for _ in range(_BALANCING):
                plan = over_columns(cells, over_rows(cells, plan))
        return scores
