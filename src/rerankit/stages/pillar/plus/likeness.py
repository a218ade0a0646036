"""How far a problem is like those that weights were trained on, read off its scores; importable without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.problem import Problem
from rerankit.scores import Scores
from rerankit.stages.hubness.partners import MANY_MORE, lead_and_asked, lead_of_chosen_rows, partners_of, told_by

if TYPE_CHECKING:
    from rerankit.stages.pillar.plus.fitting import TrainingCells

_LEFT_OUT = 1 / 6  # of a gallery's items in a log: weights that know none lose there (read off logs of captions)

Weights = Mapping[str, AnyArray]


def of_training(oriented: Problem, parts: Sequence[TrainingCells]) -> dict[str, AnyArray]:
    """What is kept of the training besides the network: how many were asked for each item, and who belongs to whom."""
    shapes = np.array([part.cells.shape for part in parts], np.float64)
    asked = np.array([(shapes[:, 0] / shapes[:, 1]).min(), (shapes[:, 1] / shapes[:, 0]).min()])
    several = partners_of(oriented.scores.T).several_queries  # how sure it is that several columns belong to one row
    leads = lead_of_chosen_rows(oriented.scores.T).sure
    return {"asked": asked, "several": np.array([several]), "leads": np.array([leads])}


def say_of(weights: Weights, shape: tuple[int, int], *, backwards: bool) -> float:
    """How much of the plan counts for queries × items of this shape: as many queries for each item as there were
    in the training's thinnest part are enough.
    """
    asked = weights.get("asked")
    least = 0.0 if asked is None else float(asked[int(backwards)])
    queries, items = shape
    return min(1.0, queries / items / least) if least else 1.0


def like_training(weights: Weights, oriented: Problem) -> tuple[float, float]:
    """How far the scores show of who belongs to whom what those in training did, from 0 to 1: for a search from
    rows to columns, and for one from columns to rows.

    Rows of which two ask for the same columns are not what weights know that were trained where columns lead to
    one row, and columns that ask for few rows only are not either.
    """
    trained, leads = weights.get("several"), weights.get("leads")
    if trained is None or leads is None or not told_by(oriented.scores):
        return 1.0, 1.0
    rows, columns = oriented.shape
    found = partners_of(oriented.scores.T)  # several rows may lack a column where few are asked, so counts matter
    unlike = 1 - found.several_queries if max(rows, columns) < MANY_MORE * min(rows, columns) else found.pairs
    like = 1.0 - float(trained[0]) * unlike - (1 - float(trained[0])) * found.several_queries
    apart = 1.0 - float(leads[0]) * (1 - lead_of_chosen_rows(oriented.scores.T).sure)
    return like * apart, like * found.evenly


def like_log(weights: Weights, to_gallery: Scores) -> float:
    """How far a bank's queries are what the weights know: sure of items of this gallery, as many for each as in
    training, spread evenly, and leaving none out. Whether several of them belong to an item does not matter: the
    query that is answered is one more.
    """
    lead, asked = lead_and_asked(to_gallery)
    reach = max(0.0, 1 - asked.left_out / _LEFT_OUT)
    return lead.sure * asked.evenly * reach * say_of(weights, to_gallery.shape, backwards=True)
