"""Prepared: a stage with what it keeps of a gallery, which answers queries by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import InputError
from rerankit.pipelines.running import run

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.looks import Looks
    from rerankit.pipelines.stage import Stage
    from rerankit.problem import Problem
    from rerankit.ranking import Ranking


@dataclass(frozen=True, eq=False)
class State:
    """What is written of a preparation: arrays, values that JSON holds, and the states of the stages inside."""

    arrays: Mapping[str, AnyArray] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[State, ...] = ()

    @property
    def bytes(self) -> int:
        """The size of its arrays, without those of the stages inside."""
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True, eq=False)
class Change:
    """A gallery after items were removed, and others added behind them."""

    gallery: Gallery
    kept: IntArray
    """The rows of the former gallery that stay, in their order; they come first."""

    @property
    def added(self) -> int:
        """The number of items that were added."""
        return self.gallery.size - len(self.kept)


@dataclass(eq=False, repr=False)
class Prepared:
    """What `Stage.prepare` returns: `rerank` answers queries of the gallery, in blocks of any size.

    This one keeps the gallery alone, and runs the whole stage for every block of queries. A stage whose work has a part
    that depends on the gallery and its bank alone returns a subclass that has done that part, and answers in `reorder`;
    it gives it as a `state`, which the stage's `restored` takes back.
    """

    stage: Stage
    gallery: Gallery

    keeps = "the gallery"
    """What is prepared, in words."""
    exact = True
    """Whether after a change it equals a fresh preparation, to the bit."""
    begun = 0.0
    """The seconds of work that was done for this problem before its candidates were known."""
    by_item = True
    """Whether a change of the gallery costs its items alone; otherwise all is prepared again."""

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if "rerank" in vars(cls):
            raise InputError(f"class {cls.__name__} must implement 'reorder': 'rerank' checks and runs it")

    @cached_property
    def text(self) -> str:
        """The stage as it was prepared, in words; made once, since that takes a good part of one query's time."""
        return repr(self.stage)

    @final
    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The candidates of queries of this gallery in a new order; needs, candidates and answer are checked."""
        return run(self.stage, self, problem, ranking)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The candidates in a new order: what `rerank` checks and runs."""
        return self.stage.reorder(problem, ranking)

    def looks_at(self, problem: Problem) -> Looks:
        """What an answer on this problem depends on beyond a query and its candidates."""
        return self.stage.looks_at(problem)

    @property
    def children(self) -> tuple[Prepared, ...]:
        """What is prepared of the stages inside."""
        return ()

    def state(self) -> State:
        """Its state, as it is written."""
        return State(children=tuple(child.state() for child in self.children))

    def updated(self, change: Change) -> Prepared:
        """What is prepared for the gallery after a change."""
        if type(self) is Prepared:
            return Prepared(self.stage, change.gallery)
        return self.stage.prepare(change.gallery)

    def __repr__(self) -> str:
        return f"prepared {self.text}"
