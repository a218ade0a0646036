"""The queries that a pipeline moved most, with their first candidates before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.arrays import IntArray
from rerankit.display import Face, Faces, face_from_dict, face_to_dict
from rerankit.metrics import Evaluation
from rerankit.metrics.lists import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance

GAINED, LOST, PLACES = 5, 5, 8


@dataclass(frozen=True)
class Candidate:
    """An item in a list: its row in the gallery, what it looks like, and whether it is right for the query."""

    row: int
    face: Face
    right: bool


@dataclass(frozen=True)
class Example:
    """One query: the rank of its first right item and its first candidates, before and after."""

    row: int
    query: Face
    ranks: tuple[float | None, float | None]
    before: tuple[Candidate, ...]
    after: tuple[Candidate, ...]

    @property
    def pictured(self) -> bool:
        """Whether a candidate has a picture."""
        return any(each.face.picture is not None for each in (*self.before, *self.after))

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        lists = {name: [_to_dict(each) for each in getattr(self, name)] for name in ("before", "after")}
        return {"row": self.row, "query": face_to_dict(self.query), "ranks": list(self.ranks), **lists}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Example:
        """What `to_dict` gave."""
        before, after = (tuple(map(_from_dict, data[name])) for name in ("before", "after"))
        return cls(data["row"], face_from_dict(data["query"]), (data["ranks"][0], data["ranks"][1]), before, after)


def rank_text(rank: float | None) -> str:
    """A rank as it is shown."""
    return "not listed" if rank is None else f"{rank:,.4g}"


def examples(
    problem: Problem, relevance: Relevance, lists: tuple[Ranking, Ranking], found: tuple[Evaluation, Evaluation]
) -> tuple[Example, ...]:
    """The queries that gained most, then those that lost most, from rankings before and after and their figures."""
    if found[0].ranks is None or found[1].ranks is None:
        return ()
    ranks = found[0].ranks, found[1].ranks
    faces = Faces(problem, "query"), Faces(problem, "gallery")
    return tuple(example(row, faces, relevance, lists, ranks) for row in moved(*ranks).tolist())


def moved(before: FloatArray, after: FloatArray, gained: int = GAINED, lost: int = LOST) -> IntArray:
    """Queries whose reciprocal rank rose most, then those whose fell most; among equals those that came furthest.

    >>> moved(np.array([9.0, 5.0, 1.0, 2.0]), np.array([1.0, 4.0, 1.0, 3.0])).tolist()
    [0, 1, 3]
    """
    old, new = (np.where(np.isnan(ranks), np.inf, ranks) for ranks in (before, after))
    gain = 1 / new - 1 / old
    best = np.lexsort((-old, -gain))[:gained]
    worst = np.lexsort((-new, gain))[:lost]
    return np.concatenate([best[gain[best] > 0], worst[gain[worst] < 0]]).astype(np.int64)


def example(
    row: int,
    faces: tuple[Faces, Faces],
    relevance: Relevance,
    lists: tuple[Ranking, Ranking],
    ranks: tuple[FloatArray, FloatArray],
    places: int = PLACES,
) -> Example:
    """One query with its first candidates; items that are left out of its evaluation are not shown."""
    judged = relevance.of(row)
    right, out = set(judged.items.tolist()), set(judged.excluded.tolist())

    def first(ranking: Ranking) -> tuple[Candidate, ...]:
        listed = [item for item in ranking.indices[row].tolist() if item >= 0 and item not in out]
        return tuple(Candidate(item, faces[1][item], item in right) for item in listed[:places])

    old, new = (None if np.isnan(each[row]) else float(each[row]) for each in ranks)
    return Example(row, faces[0][row], (old, new), first(lists[0]), first(lists[1]))


def _to_dict(candidate: Candidate) -> dict[str, Any]:
    return {"row": candidate.row, **face_to_dict(candidate.face), **({"right": True} if candidate.right else {})}


def _from_dict(data: Mapping[str, Any]) -> Candidate:
    return Candidate(data["row"], face_from_dict(data), bool(data.get("right", False)))
