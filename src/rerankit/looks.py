"""Looks: what an answer depends on beyond a query, its candidates and the gallery."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, repr=False)
class Looks:
    """What an answer depends on beyond a query, its candidates and the gallery. A stage says it for a problem
    (`Stage.looks_at`), stages made of others join it, and every result carries it.

    >>> Looks(queries=True) | Looks(labels=True)
    Looks(queries=True, labels=True)
    >>> str(Looks(queries=True, labels=True)), str(Looks())
    ('test queries, labels', 'nothing')
    """

    queries: bool = False
    """Other queries under test: what else is asked changes a query's answer, which makes a method transductive."""
    bank: bool = False
    """Queries or items that are known beforehand and not under test."""
    labels: bool = False
    """What is right for other queries: weights that were fitted with labels, or a choice made by them."""

    @classmethod
    def union(cls, several: Iterable[Looks]) -> Looks:
        """What any of several looks at."""
        found = cls()
        for one in several:
            found = found | one
        return found

    @classmethod
    def of(cls, names: Iterable[str]) -> Looks:
        """From its `names`."""
        return cls(**dict.fromkeys(names, True))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is looked at, as `of` takes them."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name))

    @property
    def letters(self) -> str:
        """A letter for each of them, for narrow tables."""
        return "".join(LETTERS[name] for name in self.names)

    @property
    def words(self) -> str:
        """The same in words; empty where nothing is looked at."""
        return ", ".join(WORDS[name] for name in self.names)

    def __or__(self, other: Looks) -> Looks:
        return Looks(self.queries or other.queries, self.bank or other.bank, self.labels or other.labels)

    def __str__(self) -> str:
        return self.words or "nothing"

    def __repr__(self) -> str:
        return f"Looks({', '.join(f'{name}=True' for name in self.names)})"


WORDS = {"queries": "test queries", "bank": "bank", "labels": "labels"}
"""What is looked at, in a word or two."""
LETTERS = {"queries": "T", "bank": "B", "labels": "L"}
TEXTS = {
    "queries": "looks at the other test queries",
    "bank": "looks at other queries that are not under test",
    "labels": "was fitted with labels",
}
"""The same as half a sentence."""
