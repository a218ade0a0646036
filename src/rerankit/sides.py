"""Sides: the two sets of items that a problem compares, each a value of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from rerankit.arrays import IntArray
from rerankit.bank import Bank
from rerankit.features import Feature
from rerankit.ids import Ids
from rerankit.scores import Scores
from rerankit.values import Named

SideName = Literal["query", "gallery"]
SIDES: tuple[SideName, SideName] = ("query", "gallery")


@dataclass(frozen=True, eq=False)
class Side:
    """The items of one side of a problem: how many there are, their ids, how they relate to each other, their features,
    and the bank of other items of their kind.
    """

    size: int
    ids: Ids | None = None
    scores: Scores | None = None
    """Similarities among the items (items, items)."""
    computed: bool = False
    """Whether `scores` come from the vectors that the problem's scores come from, and were not given."""
    features: Named[Feature] = field(default_factory=Named)
    bank: Bank | None = None

    def take(self, rows: IntArray | None) -> Side:
        """The side with some of its items, in the given order; relations that are computed are computed again."""
        if rows is None:
            return self
        return replace(
            self,
            size=len(rows),
            ids=None if self.ids is None else self.ids.take(rows),
            scores=None if self.scores is None or self.computed else self.scores.take(rows, rows),
            computed=False,
            features=Named({name: feature.take(rows) for name, feature in self.features.items()}),
        )

    def reversed(self) -> Side:
        """The same items as the other side of the reversed problem."""
        return self if self.bank is None else replace(self, bank=self.bank.reversed())
