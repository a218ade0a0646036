"""listwise-judge: a judge orders a window of candidates at a time, from the end of the list to its beginning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rerankit import checks
from rerankit.errors import InputError
from rerankit_judge.cache import Answer
from rerankit_judge.judging import Count, JudgeStage, places


class ListwiseJudge(JudgeStage):
    """Let a judge put windows of candidates in order, from the end to the beginning, so that the best can come up.

    `judge(query, items)` returns the places of the items, from 0, best first; places that it leaves out follow in the
    order as it came. With `both_ways` a window is shown as it stands and turned round, and an item's place is the mean
    of both. Windows of `window` items move by `step`, `passes` times. When the `budget` is used up, the windows that
    are left, which are those nearest to the beginning, keep their order; use `.top(k)` to judge the first k alone.

    >>> from rerankit import Problem, rerank
    >>> def shortest(query, items):
    ...     return sorted(range(len(items)), key=lambda at: len(items[at]))
    >>> problem = Problem([[0.9, 0.8, 0.7]], query_features={"text": ["?"]},
    ...                   gallery_features={"text": ["long text", "text", "a"]})
    >>> rerank(problem, ListwiseJudge(shortest)).indices
    array([[2, 1, 0]])
    """

    name = "listwise-judge"
    citation = (
        "Sun et al., Is ChatGPT good at search? Investigating large language models as re-ranking agents (EMNLP 2023)"
    )

    def __init__(
        self,
        judge: Callable[[Any, Sequence[Any]], Sequence[int]] | str,
        window: int = 10,
        step: int = 5,
        passes: int = 1,
        query: str = "text",
        item: str = "text",
        both_ways: bool = True,
        budget: int | None = None,
        cache: str | None = None,
    ) -> None:
        super().__init__(judge, query, item, both_ways, budget, cache)
        self.window = checks.integer("window", window, least=2)
        self.step = checks.integer("step", step, least=1, most=window)
        self.passes = checks.integer("passes", passes, least=1)

    def order(self, query: Any, items: Sequence[Any], count: Count) -> list[int]:
        order = list(range(len(items)))
        if len(items) < 2:
            return order
        for _ in range(self.passes):
            for start in windows(len(items), self.window, self.step):
                if not count.may(1 + self.both_ways):
                    return order
                inside = order[start : start + self.window]
                places_inside = self._ordered(query, [items[at] for at in inside], count)
                order[start : start + self.window] = [inside[place] for place in places_inside]
        return order

    def _ordered(self, query: Any, items: list[Any], count: Count) -> list[int]:
        """The places of a window's items, best first."""
        place = places([int(at) for at in self.ask(query, items, count, checked_order)])
        if self.both_ways:
            backward = self.ask(query, items[::-1], count, checked_order)
            place = place + places([len(items) - 1 - int(at) for at in backward])
        return sorted(range(len(items)), key=lambda at: (place[at], at))


def windows(size: int, window: int, step: int) -> list[int]:
    """Where windows begin, from the end of a list to its beginning.

    >>> windows(12, 5, 3), windows(4, 5, 3)
    ([7, 4, 1, 0], [0])
    """
    starts = list(range(size - window, 0, -step))
    return [*starts, 0]


def checked_order(answer: Any, size: int) -> Answer:
    """An order of all places: what a judge has said, and what it left out behind it.

    >>> checked_order([2, 0], 3)
    [2, 0, 1]
    """
    try:
        order = [int(place) for place in answer]
    except (TypeError, ValueError):
        order = [-1]
    if len(set(order)) < len(order) or not all(0 <= place < size for place in order):
        raise InputError(f"'judge' must return different places from 0 to {size - 1}, best first (got {answer!r})")
    return [*order, *(place for place in range(size) if place not in order)]
