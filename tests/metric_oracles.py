"""The oracle: metrics by sorting, with ties resolved by trying every order of the tied items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, permutations, product
from math import log2

import numpy as np


def orders(scores: Sequence[float], excluded: Sequence[int] = ()) -> list[list[int]]:
    """Every order of the gallery that the scores allow."""
    kept = [item for item in range(len(scores)) if item not in excluded]
    levels = sorted({scores[item] for item in kept}, reverse=True)
    groups = [[item for item in kept if scores[item] == level] for level in levels]
    return [list(chain.from_iterable(choice)) for choice in product(*(permutations(group) for group in groups))]


def expected(metric: Callable[[list[float], list[float]], float], scores, grades, excluded=()) -> float:  # type: ignore[no-untyped-def]
    """A metric's mean over all orders; it is given the grades in ranked order and all grades above 0."""
    every = [grade for item, grade in enumerate(grades) if grade > 0 and item not in excluded]
    return float(np.mean([metric([grades[item] for item in order], every) for order in orders(scores, excluded)]))


def success(k: int) -> Callable[[list[float], list[float]], float]:
    return lambda ranked, every: float(any(grade > 0 for grade in ranked[:k]))


def recall(k: int) -> Callable[[list[float], list[float]], float]:
    return lambda ranked, every: sum(grade > 0 for grade in ranked[:k]) / len(every)


def neg_recall(k: int) -> Callable[[list[float], list[float]], float]:
    return lambda ranked, every: sum(grade > 0 for grade in ranked[:k]) / min(len(every), k)


def precision(k: int) -> Callable[[list[float], list[float]], float]:
    return lambda ranked, every: sum(grade > 0 for grade in ranked[:k]) / k


def precision_found(k: int) -> Callable[[list[float], list[float]], float]:
    def metric(ranked: list[float], every: list[float]) -> float:
        last = max(place + 1 for place, grade in enumerate(ranked) if grade > 0)
        return precision(min(k, last))(ranked, every)

    return metric


def r_precision(ranked: list[float], every: list[float]) -> float:
    return sum(grade > 0 for grade in ranked[: len(every)]) / len(every)


def precisions(ranked: list[float], k: int) -> float:
    return sum(
        sum(grade > 0 for grade in ranked[: place + 1]) / (place + 1)
        for place, grade in enumerate(ranked[:k])
        if grade > 0
    )


def average_precision(k: int | None = None) -> Callable[[list[float], list[float]], float]:
    def metric(ranked: list[float], every: list[float]) -> float:
        cut = len(ranked) if k is None else k
        return precisions(ranked, cut) / min(len(every), cut)

    return metric


def average_precision_all(k: int) -> Callable[[list[float], list[float]], float]:
    return lambda ranked, every: precisions(ranked, k) / len(every)


def average_precision_at_r(ranked: list[float], every: list[float]) -> float:
    return precisions(ranked, len(every)) / len(every)


def trapezoid(ranked: list[float], every: list[float]) -> float:
    total, found = 0.0, 0
    for place, grade in enumerate(ranked):
        if grade > 0:
            left = 1.0 if place == 0 else found / place
            found += 1
            total += (left + found / (place + 1)) / 2
    return total / len(every)


def first_rank(ranked: list[float], every: list[float]) -> float:
    return next(place + 1 for place, grade in enumerate(ranked) if grade > 0)


def reciprocal_rank(k: int | None = None) -> Callable[[list[float], list[float]], float]:
    def metric(ranked: list[float], every: list[float]) -> float:
        rank = first_rank(ranked, every)
        return 1 / rank if k is None or rank <= k else 0.0

    return metric


def ndcg(k: int | None = None) -> Callable[[list[float], list[float]], float]:
    def gain(grades: list[float]) -> float:
        return sum(max(grade, 0) / log2(place + 2) for place, grade in enumerate(grades[:k]))

    return lambda ranked, every: gain(ranked) / gain(sorted(every, reverse=True))


ORACLES = {
    "success@1": success(1),
    "success@3": success(3),
    "recall@2": recall(2),
    "recall@9": recall(9),
    "neg_recall@2": neg_recall(2),
    "neg_recall@9": neg_recall(9),
    "precision@2": precision(2),
    "precision_found@2": precision_found(2),
    "precision_found@4": precision_found(4),
    "r_precision": r_precision,
    "map": average_precision(),
    "map@2": average_precision(2),
    "map_all@2": average_precision_all(2),
    "map_at_r": average_precision_at_r,
    "map_trapezoid": trapezoid,
    "ndcg": ndcg(),
    "ndcg@2": ndcg(2),
    "mrr": reciprocal_rank(),
    "mrr@2": reciprocal_rank(2),
    "mean_rank": first_rank,
}
