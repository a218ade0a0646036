"""pairwise-judge: a judge says of two candidates which is better; who wins most comes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rerankit.errors import InputError
from rerankit_judge.cache import Answer
from rerankit_judge.judging import Count, JudgeStage


class PairwiseJudge(JudgeStage):
    """Let a judge compare candidates two at a time, and order them by how many others they are better than.

    `judge(query, one, other)` returns how likely it is that the first is better, from 0 to 1 (True and False will do).
    With `both_ways` a pair is asked in both orders and the mean counts. Neighbours are compared first, then those two
    places apart, and so on: what a `budget` leaves out counts as the order says that came. K candidates are
    K (K − 1) / 2 pairs; use `.top(k)`.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem([[0.9, 0.8, 0.7]], query_features={"text": ["?"]},
    ...                   gallery_features={"text": ["long text", "text", "a"]})
    >>> rerank(problem, PairwiseJudge(lambda query, one, other: len(one) < len(other))).indices
    array([[2, 1, 0]])
    """

    name = "pairwise-judge"
    citation = (
        "Qin et al., Large language models are effective text rankers with pairwise ranking prompting (NAACL 2024)"
    )

    def order(self, query: Any, items: Sequence[Any], count: Count) -> list[int]:
        size = len(items)
        better = np.triu(np.ones((size, size)), 1)  # the order as it came
        for one, other in pairs(size):
            if not count.may(1 + self.both_ways):
                break
            better[one, other] = self._better(query, items[one], items[other], count)
            better[other, one] = 1 - better[one, other]
        # Half ties keep the order that came: a sum of quarters is exact.
        order: list[int] = np.argsort(-better.sum(axis=1).round(9), kind="stable").tolist()
        return order

    def shown(self, items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(items)

    def _better(self, query: Any, one: Any, other: Any, count: Count) -> float:
        (first,) = self.ask(query, [one, other], count, checked_chance)
        if not self.both_ways:
            return first
        (second,) = self.ask(query, [other, one], count, checked_chance)
        return (first + 1 - second) / 2


def pairs(size: int) -> Iterator[tuple[int, int]]:
    """All pairs of places, neighbours first.

    >>> list(pairs(3))
    [(0, 1), (1, 2), (0, 2)]
    """
    for apart in range(1, size):
        yield from ((one, one + apart) for one in range(size - apart))


def checked_chance(answer: Any, size: int) -> Answer:
    """How likely it is that the first is better."""
    try:
        chance = float(answer)
    except (TypeError, ValueError):
        chance = -1.0
    if not 0 <= chance <= 1:
        raise InputError(f"'judge' must return a number from 0 to 1 (got {answer!r})")
    return [chance]
