"""The two directions, and parameters that have a value for each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from rerankit.errors import RerankitWarning, rule
from rerankit.scores import Scores
from rerankit.stages.hubness.partners import several_belong_to_one

Direction = Literal["i2t", "t2i"]
DIRECTIONS: tuple[Direction, ...] = ("i2t", "t2i")


def other(direction: Direction) -> Direction:
    """The other direction."""
    return "t2i" if direction == "i2t" else "i2t"


def value_of(value: Any, direction: Direction, argument: str = "value") -> Any:
    """A direction's value of a parameter that is one number or a pair (i2t, t2i)."""
    if not isinstance(value, Sequence):
        return value
    if len(value) != len(DIRECTIONS):
        raise rule(argument, "must be one number, or two (i2t, t2i)", value)
    return value[DIRECTIONS.index(direction)]


def kept(value: Any) -> Any:
    """A pair as a tuple: a stage read back from JSON is then the same, down to its repr."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(value) if isinstance(value, Sequence) else value


def warn_of_the_other_side(name: str, direction: Direction, scores: Scores) -> None:
    """Say so where the scores speak against a direction: rows of "i2t" are the side that several items belong to."""
    facing = scores if direction == "i2t" else scores.T
    if several_belong_to_one(facing):
        of = "queries belong to one item" if direction == "i2t" else "items belong to one query"
        warnings.warn(
            f"stage '{name}' is for direction '{direction}', but by the scores several {of}: "
            f"direction='{other(direction)}', or reversed(), is the stage for the other side",
            RerankitWarning,
            stacklevel=3,
        )
