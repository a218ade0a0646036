"""Sides: the two sets of items that a problem compares, each a value of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from rerankit.arrays import IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.features import Feature, features_of
from rerankit.ids import Ids, as_ids
from rerankit.labelled import in_order
from rerankit.scores import DenseScores, EmbeddingScores, Scores
from rerankit.values import Named

SideName = Literal["query", "gallery"]
SIDES: tuple[SideName, SideName] = ("query", "gallery")
_TELL, _LOOKED_AT = 3, 16
"""From how many items on relations are looked at, and how many rows of them, for whether they are distances."""


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


def side_of(
    name: SideName, shape: tuple[int, int], scores: Any, ids: Any, features: Mapping[str, Any] | None, bank: Any
) -> Side:
    """One side of what a problem was made from, checked."""
    size = shape[SIDES.index(name)]
    names = as_ids(ids, size, f"{name}_ids")
    return Side(
        size,
        names,
        _square(scores, size, names, f"{name}_scores"),
        features=features_of(features, size, f"{name}_features"),
        bank=fitting(bank, f"{name}_bank", shape),
    )


def related(scores: Scores, queries: Side, gallery: Side) -> dict[str, Side]:
    """Both sides, with relations from the embeddings of the scores where none were given."""
    if isinstance(scores, EmbeddingScores):
        if queries.scores is None:
            queries = replace(queries, scores=scores.among_rows(), computed=True)
        if gallery.scores is None:
            gallery = replace(gallery, scores=scores.among_columns(), computed=True)
    return {"queries": queries, "gallery": gallery}


def fitting(bank: Bank | None, argument: str, shape: tuple[int, int]) -> Bank | None:
    """A bank that belongs to a problem of this shape, or None."""
    if bank is None:
        return None
    if not isinstance(bank, Bank):
        raise rule(argument, "must be a rerankit.Bank, such as Bank(to_gallery=…)", type(bank).__name__)
    bank.check(argument, shape)
    return bank


def _square(scores: Any, size: int, ids: Ids | None, argument: str) -> Scores | None:
    if scores is None:
        return None
    given = in_order(scores, ids, ids, argument)
    if given.shape != (size, size):
        raise rule(argument, f"must have shape {(size, size)} to agree with 'scores'", f"shape {given.shape}")
    return similarities(given, argument)


def similarities(among: Scores, argument: str) -> Scores:
    """The relations of items among themselves, unless they are distances: 0 for an item and itself, more for others.

    >>> similarities(DenseScores([[0, -2, -3], [-2, 0, -4], [-3, -4, 0]]), "gallery_scores")
    DenseScores(3 × 3, float32)
    """
    if not isinstance(among, DenseScores) or among.shape[0] < _TELL:
        return among
    places = np.arange(min(_LOOKED_AT, among.shape[0]))
    rows = among.rows(places).astype(np.float64)
    own, near = rows[places, places], 1e-6 * np.abs(rows).max()
    rows[places, places] = np.inf
    nearest = rows.min(axis=1)
    if np.abs(own).max() <= near and nearest.min() >= own.min() and np.median(nearest) > near:
        got = "0 there and more for all others, as distances are"
        named = argument.replace("scores", "distances")
        how = f"give Problem.from_distances(…, {named}=…), or fill the diagonal"
        raise InputError(f"'{argument}' must be similarities, highest for an item and itself (got {got}): {how}")
    return among
