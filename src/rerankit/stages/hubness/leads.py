"""How far the best scores of rows are ahead of the next, compared with what is usual from place to place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.stages.hubness.popularity import asked_evenly, left_out, of_classes, sure_of

_PLACES = 8  # best scores of a row that are looked at
LEAST_PLACES = 4  # that have to be known
_LEAST_STEPS = 4  # behind the first, to tell how they change from place to place
_AS_OTHERS = 100  # rows of a column that are thought to be as wide as the others'
_NO_ACCIDENT = 1.0  # standard errors; one more is certain
_NO_DIFFERENCE = 2.0  # standard errors that may be an accident
_BY_CHANCE = 4 / 9  # of rows without a partner have a first step above the next two's mean, were steps exponential
FIGURES = 6  # decimals that do not depend on the order of rows


class Lead(NamedTuple):
    """How far rows' best scores are ahead: the mean step from the first to the second, over what is usual there.

    Of many columns that are all wrong, the step from place p to p + 1, times p, changes as a power of p: the places
    behind the first tell what is usual for the first, and the ratio is 1. A partner of a row stands out from the
    others, and the ratio is above 1. Of several partners none does.
    """

    ratio: float
    error: float
    """Its standard error; rows with the same best column count as one."""
    ahead: float
    """The share of rows whose first step, in usual ones, is above the mean of the next two: 4/9 by chance."""
    chance: float = 0.0
    """The standard error of `ahead`."""

    @property
    def sure(self) -> float:
        """How sure it is, from 0 to 1, that rows have a partner each."""
        return _beyond(self.errors, _NO_ACCIDENT)

    @property
    def errors(self) -> float:
        """Standard errors by which rows are more ahead than by chance: their mean step is longer, and so are many."""
        if not np.isfinite(self.error) or self.error <= 0:
            return 0.0
        longer = (self.ratio - 1) / self.error
        many = (self.ahead - _BY_CHANCE) / self.chance if self.chance else longer
        return min(longer, many)

    def behind(self, other: Lead, least: float) -> float:
        """How sure it is, from 0 to 1, that rows have no partner of their own while those of another have: `least`
        standard errors tell nothing, and one more is certain.
        """
        error = float(np.hypot(self.error, other.error))
        if not np.isfinite(error) or error <= 0 or self.ahead > _BY_CHANCE:
            return 0.0
        return _beyond((other.ratio - self.ratio) / error, least)

    def covered(self, other: Lead) -> float:
        """The share of rows that may have a partner, from 0 to 1: as many more than by chance are ahead as among rows
        that all have one, or two standard errors more.
        """
        more, most = self.ahead - _BY_CHANCE, other.ahead - _BY_CHANCE
        error = _NO_DIFFERENCE * float(np.hypot(self.chance, other.chance))
        return 0.0 if more <= 0 else 1.0 if most - more <= error else (more + error) / most


class Asked(NamedTuple):
    """How rows ask for columns."""

    evenly: float
    """How far they may be taken to ask evenly, from 0 to 1: 0 where many that are sure ask for a few; 1 where their
    leads tell nothing.
    """
    left_out: float
    """The share of columns that should be some row's best by chance, and are not."""
    certain: float = 0.0
    """The share of rows that are sure of their column."""


UNKNOWN = Lead(0.0, np.inf, 0.0)


def lead_of(first: IntArray, best: AnyArray) -> Lead:
    """From each row's best column (rows,) and its highest values (rows, places), best first."""
    steps = _steps(best)
    chosen = len(np.unique(first))
    if steps is None or chosen < 2:
        return UNKNOWN
    usual, weights = _usual_steps(steps.mean(axis=0))
    ratio = float(steps[:, 0].mean() / usual[0])
    of_column = np.bincount(first, steps[:, 0] / usual[0] - ratio * (steps[:, 1:] @ weights))
    error = float(np.sqrt(np.square(of_column).sum() * chosen / (chosen - 1))) / len(first)
    ahead = float(np.mean(steps[:, 0] / usual[0] > (steps[:, 1:3] / usual[1:3]).mean(axis=1)))
    return Lead(ratio, error, ahead, float(np.sqrt(ahead * (1 - ahead) / len(first))))


def asked_of(first: IntArray, best: AnyArray, shape: tuple[int, int]) -> Asked:
    """The same of how rows ask for columns, of scores of this shape (rows, columns)."""
    even, steps = 1 - of_classes(*shape), _steps(best)
    if steps is None:
        return Asked(even, left_out(first, shape[1]))
    sure, of_rows = lead_of(first, best).sure, sure_of(steps[:, 0] / _usual_steps(steps.mean(axis=0))[0][0])
    evenly = round(even * (1 - sure * (1 - asked_evenly(first, of_rows, shape[1]))), FIGURES)
    return Asked(evenly, left_out(first, shape[1]), round(sure * float(of_rows.mean()), FIGURES))


def _steps(best: AnyArray) -> AnyArray | None:
    """From place to place, times the place (rows, places - 1); None where they tell nothing."""
    if len(best) < 2 or best.shape[1] < LEAST_PLACES:
        return None
    steps: AnyArray = (best[:, :-1] - best[:, 1:]) * np.arange(1, best.shape[1])
    return steps if steps[:, 1:].any() else None


def _usual_steps(mean: AnyArray) -> tuple[AnyArray, AnyArray]:
    """What steps are usual at each place (steps,), by those behind the first; and by how much of itself the first one
    of these grows as the mean of another one does, (steps - 1,).

    The logarithm of a step is linear in the logarithm of its place, which holds for the highest of many values of one
    distribution, whether it has an end or a long tail. Steps are taken for alike where there are too few, or where
    scores tie.
    """
    count = len(mean) - 1
    if count < _LEAST_STEPS or mean[1:].min() <= 0:
        return np.full(count + 1, mean[1:].mean()), np.full(count, 1 / mean[1:].sum())
    places = np.log(np.arange(1, count + 2))
    off = places[1:] - places[1:].mean()
    slopes = off / np.square(off).sum()
    logs = np.log(mean[1:])
    usual = np.exp(logs.mean() + (slopes @ logs) * (places - places[1:].mean()))
    return usual, (1 / count - places[1:].mean() * slopes) / mean[1:]


def highest(values: AnyArray) -> tuple[IntArray, AnyArray]:
    """Each row's best column (rows,), and its highest values (rows, places), best first; the values are used up."""
    rows, best = np.arange(len(values)), np.empty((len(values), min(_PLACES, values.shape[1])))
    first: IntArray = values.argmax(axis=1)
    columns = first
    for place in range(best.shape[1]):  # a few passes for the highest are faster than one that puts all in order
        best[:, place] = values[rows, columns]
        values[rows, columns] = -np.inf
        columns = values.argmax(axis=1)
    return first, best


def in_widths(values: FloatArray) -> FloatArray:
    """Values (rows, columns) whose columns have a mean of 0, each over the width of its column.

    A hub's scores are spread more widely than others': among rows' best ones its are there because of that. Few rows
    do not tell a column's width, which is that of the others then.
    """
    squares = np.einsum("ij,ij->j", values, values, dtype=np.float64) / len(values)
    widths = np.sqrt((len(values) * squares + _AS_OTHERS * squares.mean()) / (len(values) + _AS_OTHERS))
    found: FloatArray = np.divide(values, np.where(widths > 0, widths, 1), dtype=np.float32)
    return found


def _beyond(errors: float, least: float) -> float:
    """From 0, at `least` standard errors, to 1, at one more."""
    return round(float(np.clip(errors - least, 0, 1)), FIGURES)
