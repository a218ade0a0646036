"""What both stages share: features that are read, a judge that is asked, a budget, and answers that are kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rerankit import Problem, Ranking, Stage, checks, track
from rerankit.errors import InputError
from rerankit_judge.cache import Answer, Cache, key_of


@dataclass
class Count:
    """How often a judge was asked about one query, and how often an answer was known already."""

    budget: int | None
    calls: int = 0
    known: int = 0
    short: bool = False
    """Whether something was left out."""

    def may(self, questions: int) -> bool:
        """Whether so many questions are left."""
        self.short = self.budget is not None and self.calls + self.known + questions > self.budget
        return not self.short


class JudgeStage(Stage):
    """A stage whose `judge` is asked about a query and some of its candidates: a function, or the name of a chat model.

    `query` and `item` name the features that it reads. `both_ways` asks every question in both orders, since judges
    prefer places; `budget` is the most questions for one query, known answers included, so that an answer does not
    depend on what was asked before. `cache` is a file that keeps answers to questions about texts.
    """

    outside: ClassVar[tuple[str, ...]] = ("judge",)
    writes: ClassVar[tuple[str, ...]] = ("cache",)

    def __init__(
        self,
        judge: Callable[..., Any] | str,
        query: str = "text",
        item: str = "text",
        both_ways: bool = True,
        budget: int | None = None,
        cache: str | None = None,
    ) -> None:
        if not callable(judge) and not (isinstance(judge, str) and judge):
            raise InputError(f"'judge' must be a function or the name of a chat model (got {judge!r})")
        self.judge, self.query, self.item = judge, query, item
        self.both_ways = checks.boolean("both_ways", both_ways)
        self.budget = budget if budget is None else checks.integer("budget", budget, least=1)
        self.cache = cache
        self._answers = Cache(cache)
        self._made: Callable[..., Any] | None = judge if callable(judge) else None

    @property
    def needs(self) -> tuple[str, ...]:
        return f"query_features:{self.query}", f"gallery_features:{self.item}"

    @abstractmethod
    def order(self, query: Any, items: Sequence[Any], count: Count) -> list[int]:
        """The places of the items (their order as it came), best first."""

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        scores = np.full(ranking.shape, -np.inf, np.float32)
        queries, items = problem.query_features[self.query], problem.gallery_features[self.item]
        calls, known, short = 0, 0, 0
        for row in track(range(len(ranking)), self.name):
            listed = ranking.indices[row][ranking.mask[row]]
            count = Count(self.budget)
            order = self.order(queries[row], [items[int(one)] for one in listed], count)
            scores[row, order] = np.arange(len(listed), 0, -1)
            calls, known, short = calls + count.calls, known + count.known, short + count.short
        found = self.scored(ranking, scores)
        return found.with_notes(**{self.name: {"calls": calls, "known": known, "out_of_budget": short}})

    def ask(self, query: Any, items: Sequence[Any], count: Count, check: Callable[[Any, int], Answer]) -> Answer:
        """The judge's answer, checked, or what it said before."""
        key = key_of(f"{self.name}: {self._judge_name}", query, items)
        known = None if key is None else self._answers.get(key)
        if known is not None:
            count.known += 1
            return known
        count.calls += 1
        answer = check(self._asker()(query, *self.shown(items)), len(items))
        if key is not None:
            self._answers.put(key, answer)
        return answer

    def shown(self, items: Sequence[Any]) -> tuple[Any, ...]:
        """The items as arguments of the judge."""
        return (list(items),)

    @property
    def _judge_name(self) -> str:
        if isinstance(self.judge, str):
            return self.judge
        return str(getattr(self.judge, "name", getattr(self.judge, "__qualname__", type(self.judge).__name__)))

    def _asker(self) -> Callable[..., Any]:
        """The judge; a chat model is loaded when it is first asked."""
        if self._made is None:
            from rerankit_judge.chat import ChatModel

            model = ChatModel(str(self.judge))
            self._made = model.order if self.name == "listwise-judge" else model.preference
        return self._made


def places(order: Sequence[int]) -> NDArray[np.int64]:
    """Where each item stands in an order.

    >>> places([2, 0, 1]).tolist()
    [1, 2, 0]
    """
    return np.argsort(np.asarray(order, np.int64))
