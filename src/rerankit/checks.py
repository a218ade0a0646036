"""Checks of parameters: each returns the value or raises with the argument, the rule and the value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from rerankit.errors import rule, unknown_name

T = TypeVar("T")


def integer(argument: str, value: Any, *, least: int | None = None, most: int | None = None) -> int:
    """A whole number within bounds.

    >>> integer("k", 5, least=1)
    5
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise rule(argument, "must be a whole number", repr(value))
    number = value.__index__()
    _check_bounds(argument, number, least, most)
    return int(number)


def number(
    argument: str, value: Any, *, least: float | None = None, most: float | None = None, above: float | None = None
) -> float:
    """A finite number within bounds; `above` excludes its bound."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or not math.isfinite(value):
        raise rule(argument, "must be a finite number", repr(value))
    if above is not None and not value > above:
        raise rule(argument, f"must be above {above}", value)
    _check_bounds(argument, value, least, most)
    return float(value)


def boolean(argument: str, value: Any) -> bool:
    """A yes or a no, and nothing that merely counts as one.

    >>> boolean("compile", True)
    True
    """
    if not isinstance(value, bool | np.bool_):
        raise rule(argument, "must be true or false", repr(value))
    return bool(value)


def word(argument: str, value: str) -> str:
    """A text without blanks, as files whose columns are parted by blanks need it.

    >>> word("tag", "mine")
    'mine'
    """
    if value.split() != [value]:
        raise rule(argument, "must be single words without blanks", repr(value))
    return value


def choice(argument: str, value: Any, choices: Iterable[T]) -> T:
    """One of some values."""
    known = list(choices)
    if value not in known:
        raise unknown_name(argument, str(value), map(str, known))
    return known[known.index(value)]


def _check_bounds(argument: str, value: float, least: float | None, most: float | None) -> None:
    if least is not None and value < least:
        raise rule(argument, f"must be at least {least}", value)
    if most is not None and value > most:
        raise rule(argument, f"must be at most {most}", value)
