"""Sizes of the cell graph and of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rerankit import checks
from rerankit.errors import rule


@dataclass(frozen=True)
class PlusSettings:
    """How cells are chosen and described; pairs are (for rows, for columns) in the image → text orientation.

    >>> PlusSettings(cells_kept=(16, 8)).pillars
    16
    """

    cells_seen: tuple[int, int] = (64, 32)
    """Cells looked at first: each row's best columns, each column's best rows."""
    cells_kept: tuple[int, int] = (32, 16)
    """Cells kept of those, by the first plan."""
    pillars: int = 16
    """Nearest items of the same kind whose votes a row or a column takes."""
    likely: tuple[int, int] = (16, 8)
    """A row's likeliest columns, a column's likeliest rows, to which others are compared."""
    sharpness: float = 4.4
    """Inverse temperature of the plan, for similarities on their standard scale."""
    neighbour_sharpness: float = 3.0
    rounds: int = 2
    width: int = 32
    dropout: float = 0.2
    off: tuple[str, ...] = ()
    """Columns left out, by the beginning of their names: for ablations."""


def two(name: str, value: Any) -> Sequence[Any]:
    """A parameter that is two numbers, for rows and for columns (i2t and t2i)."""
    if not isinstance(value, Sequence) or len(value) != 2:
        raise rule(name, "must be two numbers, for rows (i2t) and for columns (t2i)", value)
    return value


def pair(name: str, value: Any) -> tuple[int, int]:
    """The same of whole numbers, as a tuple: a stage read back from JSON is then the same, down to its repr."""
    rows, columns = (checks.integer(name, number, least=1) for number in two(name, value))
    return rows, columns


def parts_thinned(value: Sequence[Any]) -> tuple[int, ...]:
    """The parameter `thinned`: how often parts of the training are halved, in turn."""
    if not len(value):
        raise rule("thinned", "must have at least one number, 0 for whole parts", value)
    return tuple(checks.integer("thinned", number, least=0) for number in value)
