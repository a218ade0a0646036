"""The network of pillar-plus: rounds of columns → a small network → a better plan."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rerankit.stages.pillar.plus.cells import CellGraph
from rerankit.stages.pillar.plus.columns import COLUMNS, first_messages, kept, messages
from rerankit.stages.pillar.plus.plan import CellShares, over_columns, over_rows, shares_of
from rerankit.stages.pillar.plus.settings import PlusSettings

_BOUND = 5.0  # standard deviations beyond which a column says no more
BALANCING = 2
_LEAST_ROWS = 512  # of a product: with fewer, a row's last bits depend on how many there are


class Balance(Protocol):
    """How the plan of cells is shared and balanced: among themselves, or among cells that are settled."""

    def shares(self, plan: Tensor) -> CellShares:
        """The shares of a log plan, at the beginning of a round."""

    def balanced(self, plan: Tensor) -> Tensor:
        """The plan after rows and columns were given their shares in turn, at the end of a round."""


class AmongThemselves:
    """The balance of the cells of one problem."""

    def __init__(self, cells: CellGraph) -> None:
        self.cells = cells

    def shares(self, plan: Tensor) -> CellShares:
        return shares_of(self.cells, plan)

    def balanced(self, plan: Tensor) -> Tensor:
        for _ in range(BALANCING):
            plan = over_columns(self.cells, over_rows(self.cells, plan))
        return plan


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
        short = 0 if self.training else max(0, _LEAST_ROWS - len(columns))
        normed = F.pad(self.norm(columns).clamp(-_BOUND, _BOUND), (0, 0, 0, short))
        return (self.linear(normed) + self.net(normed))[: len(columns)]  # type: ignore[no-any-return]


class PlusNetwork(nn.Module):
    """Rounds that refine one plan; after each, the scores of both directions."""

    kept: Tensor

    def __init__(self, settings: PlusSettings) -> None:
        super().__init__()
        rounds = [Round(len(COLUMNS), settings.width, settings.dropout) for _ in range(settings.rounds)]
        self.rounds = nn.ModuleList(rounds)
        self.register_buffer("kept", kept(settings.off) if settings.off else torch.ones(len(COLUMNS)), persistent=False)

    def forward(self, cells: CellGraph, balance: Balance | None = None) -> list[tuple[Tensor, Tensor]]:
        """For every round the scores (cells,) of i2t and of t2i."""
        plan = cells.first_plan
        scores: list[tuple[Tensor, Tensor]] = []
        shared = balance or AmongThemselves(cells)
        for one in self.rounds:
            if balance is None and not scores:
                columns = first_messages(cells)
            else:
                columns = messages(cells, plan, shared.shares(plan))
            change = one(torch.cat([cells.fixed, columns], dim=1) * self.kept)
            plan = plan + change[:, 0]
            scores.append((plan + change[:, 1], plan + change[:, 2]))
            # A round takes the plan as given: gradients through the messages made training slower, not better.
            plan = shared.balanced(plan.detach())
        return scores
