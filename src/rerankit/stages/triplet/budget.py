"""How much may be scored, and who gets which share of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import rule

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Budget:
    """How much may be scored: a number of pairs, or of seconds.

    >>> Budget.parse("2000 pairs"), Budget.parse("1.5s")
    (Budget(pairs=2000, seconds=None), Budget(pairs=None, seconds=1.5))
    """

    pairs: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, given: str | int | None) -> Budget:
        """From '500 pairs' or '30 s'; an int is a number of pairs."""
        if given is None:
            return cls()
        found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(pairs|s)?", str(given).strip())
        unit = found and (found[2] or ("pairs" if type(given) is int else None))
        if not found or not unit:
            raise rule("budget", "must be such as '500 pairs' or '30 s'", given)
        number = float(found[1])
        return cls(pairs=int(number)) if unit == "pairs" else cls(seconds=number)


def shares(depths: IntArray, pairs: int) -> IntArray:
    """How many candidates each query may score, given its `depths` and a shared number of pairs.

    All queries get the same number, what a short query leaves goes to the others, and what cannot be
    divided goes to the first ones.

    >>> shares(np.array([5, 1, 5]), 8)
    array([4, 1, 3])
    """
    out = np.zeros_like(depths)
    left = min(pairs, int(depths.sum()))
    while left:
        waiting = np.flatnonzero(out < depths)
        step = left // len(waiting)
        if step == 0:
            out[waiting[:left]] += 1
            break
        grant = np.minimum(step, (depths - out)[waiting])
        out[waiting] += grant
        left -= int(grant.sum())
    return out
