"""How a stage scales: what it keeps of a gallery, what it asks once, what shards share, and what cannot be had."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "nothing"


@dataclass(frozen=True)
class Scaling:
    """What a stage costs where galleries are large and queries come in shards, in words.

    >>> Scaling(keeps="a number", once="bank × items scores, block by block").items()["shards share"]
    'what is kept, which each of them reads'
    """

    keeps: str = NOTHING
    """What is kept for each item of a gallery that stands ready."""
    once: str = NOTHING
    """What is computed for a gallery and its bank before the first query."""
    shared: str = ""
    """What shards of queries share."""
    impossible: str = NOTHING
    """What cannot be had."""
    cut: str = NOTHING
    """By what preparing is cut into shards on an engine; the rest of it is done in one place."""

    def items(self) -> dict[str, str]:
        """All of it, each text by its heading."""
        shared = self.shared or (NOTHING if self.keeps == NOTHING else "what is kept, which each of them reads")
        return {
            "keeps for each item": self.keeps,
            "computes once": self.once,
            "shards share": shared,
            "preparing is cut by": self.cut,
            "cannot": self.impossible,
        }


AMONG_ITEMS = "items × items scores, block by block"
BANK_BY_ITEMS = "bank × items scores, in one pass, block by block"
JOINT = "(bank + items)² scores, block by block"
WITHOUT_A_BANK = "be cut into shards of queries without a bank: the other test queries are in every answer"
BY_ITEMS = "items"
BY_BANK = "the bank's queries"
BY_BOTH = "items, and the bank's queries"
"""What several stages say."""
