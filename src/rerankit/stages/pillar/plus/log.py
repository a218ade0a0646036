"""What `pillar-plus` keeps of a log of earlier queries; importable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rerankit.pipelines.prepared import State
from rerankit.stages.plan.stage import Learned, Planned

if TYPE_CHECKING:
    from rerankit.stages.pillar.plus.earlier import Earlier


class LearnedOfLog(NamedTuple):
    """What a bank's queries say of the items."""

    planned: Learned
    like: float
    """How far they are like those of training, from 0 to 1: how much the network's answer counts."""
    earlier: Earlier | None

    def state(self) -> State:
        """What is written of it."""
        arrays, values = ({}, {}) if self.earlier is None else self.earlier.state()
        return State(arrays, {"like": self.like, "earlier": values}, (self.planned.state(),))

    @classmethod
    def restored(cls, state: State) -> LearnedOfLog:
        """What `state` was taken of."""
        planned, values = Learned.restored(state.children[0]), state.values
        if not values["earlier"]:
            return cls(planned, values["like"], None)
        from rerankit.stages.pillar.plus.earlier import Earlier

        return cls(planned, values["like"], Earlier.restored(state.arrays, values["earlier"]))


class PlusPlanned(Planned):
    """A plan that stands ready, with what the network made of it."""

    keeps = "the plan of the bank's queries with what the network made of it in every round"
