"""Bank: other items of one side's kind, known beforehand and not under test."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.arrays import IntArray
from rerankit.errors import InputError, rule
from rerankit.scores import EmbeddingScores, Scores, as_scores
from rerankit.scores.vectors import Held
from rerankit.values import Value


class Bank(Value):
    """Similarities of `size` known items to a problem's gallery (size, gallery), queries (size, queries), each other.

    As a *query bank* it holds other queries (training captions, say): stages that would look at the other
    test queries look at these instead, and the answer for one query no longer depends on the rest. `to_bank` (size,
    size) is for stages that make a graph of them.

    >>> Bank(to_gallery=[[0.1, 0.2, 0.3]])
    Bank(1 items, to_gallery)
    """

    size: int
    to_gallery: Scores | None
    to_queries: Scores | None
    to_bank: Scores | None

    def __init__(self, *, to_gallery: Any = None, to_queries: Any = None, to_bank: Any = None) -> None:
        if to_gallery is None and to_queries is None:
            raise InputError("a bank needs 'to_gallery', 'to_queries' or both (got neither)")
        parts = {
            name: None if given is None else as_scores(given, name)
            for name, given in (("to_gallery", to_gallery), ("to_queries", to_queries), ("to_bank", to_bank))
        }
        sizes = {given.shape[0] for name, given in parts.items() if given is not None and name != "to_bank"}
        if len(sizes) > 1:
            raise rule("to_queries", "must have as many rows as 'to_gallery'", f"{sorted(sizes)} rows")
        self._keep(size=sizes.pop(), **parts)
        if self.to_bank is not None and self.to_bank.shape != (self.size, self.size):
            raise rule("to_bank", f"must have shape {(self.size, self.size)}, that of the bank", self.to_bank.shape)

    @classmethod
    def from_embeddings(
        cls, vectors: Any, scores: EmbeddingScores, argument: str = "vectors", *, held: Held | bool = False
    ) -> Bank:
        """A bank of vectors (bank, d) for the embeddings of a problem's scores; `held` keeps them on their grid."""
        to_gallery = scores.with_rows(vectors, argument, held=held)
        return cls(to_gallery=to_gallery, to_queries=to_gallery.facing(scores), to_bank=to_gallery.facing(to_gallery))

    def facing(self, to_queries: Any) -> Bank:
        """The same bank for other queries: `to_queries` (size, queries), or None where it is not known."""
        if to_queries is None:
            return self.from_checked(size=self.size, to_gallery=self.to_gallery, to_queries=None, to_bank=self.to_bank)
        given = as_scores(to_queries, "to_queries")
        if given.shape[0] != self.size:
            raise rule("to_queries", f"must have a row for each of the bank's {self.size} items", given.shape)
        return self.from_checked(size=self.size, to_gallery=self.to_gallery, to_queries=given, to_bank=self.to_bank)

    def reversed(self) -> Bank:
        """The same items for the reversed problem."""
        return self.from_checked(
            size=self.size, to_gallery=self.to_queries, to_queries=self.to_gallery, to_bank=self.to_bank
        )

    def some(self, items: IntArray) -> Bank:
        """A bank of some of its items, in the given order.

        >>> bank = Bank(to_gallery=[[1, 2], [3, 4], [5, 6]], to_bank=np.eye(3)).some(np.array([2, 0]))
        >>> bank.to_gallery.rows().tolist(), bank.to_bank.rows().tolist()
        ([[5.0, 6.0], [1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]])
        """
        if len(items) == self.size and np.array_equal(items, np.arange(self.size)):
            return self
        facing = {name: getattr(self, name) for name in ("to_gallery", "to_queries")}
        taken = {name: None if part is None else part.take(items) for name, part in facing.items()}
        to_bank = None if self.to_bank is None else self.to_bank.take(items, items)
        return self.from_checked(size=len(items), to_bank=to_bank, **taken)

    def take(self, queries: IntArray | None = None, gallery: IntArray | None = None) -> Bank:
        """The same bank for some of the queries and some of the gallery."""
        return self.from_checked(
            size=self.size,
            to_gallery=None if self.to_gallery is None else self.to_gallery.take(None, gallery),
            to_queries=None if self.to_queries is None else self.to_queries.take(None, queries),
            to_bank=self.to_bank,
        )

    def check(self, argument: str, shape: tuple[int, int]) -> None:
        """Refuse a bank that does not belong to a problem of this shape (queries, gallery)."""
        for name, given, size in (
            ("to_gallery", self.to_gallery, shape[1]),
            ("to_queries", self.to_queries, shape[0]),
        ):
            if given is not None and given.shape[1] != size:
                raise rule(
                    f"{argument}.{name}",
                    f"must have {size} columns to agree with 'scores'",
                    f"shape {given.shape}",
                )

    def __repr__(self) -> str:
        given = [name for name in ("to_gallery", "to_queries", "to_bank") if getattr(self, name) is not None]
        return f"Bank({self.size} items, {', '.join(given)})"
