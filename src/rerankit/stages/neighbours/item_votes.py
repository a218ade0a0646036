"""What neighbours among the items say of one query's candidates, with what a bank tells of the items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.pipelines.prepared import State
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import NormalMap, Scores
from rerankit.stages.candidates import items_of, own_scores
from rerankit.stages.hubness.shape import read_problem
from rerankit.stages.lone import Answering
from rerankit.stages.neighbours.known import fields_of, state_of_fields


class ItemVotes(NamedTuple):
    """What a bank tells of the items, and the neighbours of each that vote for it."""

    beta: float
    weight: float
    """How much the votes count, from 0 to 1."""
    sharpness: float
    floor: float
    shift: AnyArray
    """What is added to the scores of each item, (items,)."""
    received: AnyArray | None = None
    """What each item gets of the bank's queries (items,); None where votes do not count."""
    near: IntArray | None = None
    """The nearest other items (items, neighbours); an item itself, at weight 0, where there are fewer."""
    shares: AnyArray | None = None
    """How much each of them counts (items, neighbours); 1 together."""
    through: NormalMap | None = None
    """What all scores are read through."""

    def notes(self) -> dict[str, float]:
        """What the ranking's notes say."""
        return {"beta": self.beta, "sharpness": self.sharpness, "votes": self.weight}

    def state(self) -> State:
        """What is written of it."""
        return state_of_fields(self)

    @classmethod
    def restored(cls, state: State) -> ItemVotes:
        """What `state` was taken of."""
        return cls(**fields_of(state))

    def answered(self, problem: Problem, ranking: Ranking) -> FloatArray:
        """The candidates' scores (queries, K)."""
        scores, items = read_problem(problem, self.through).scores, items_of(ranking)
        own = own_scores(scores, ranking).astype(np.float64) + self.shift[items]
        if self.weight:
            for row, found in enumerate(own):
                known = ranking.mask[row]
                votes = self._of_query(scores, row, items[row, known], found[known])
                found[known] += self.weight / self.beta * np.log(self.floor + votes)
        return own.astype(np.float32)

    def _of_query(self, scores: Scores, row: int, items: IntArray, own: AnyArray) -> AnyArray:
        """Σ w p(query | neighbour) of a query's candidates (n,), whose corrected scores are `own`; p are its shares
        among the candidates and their neighbours over what those get of the bank.
        """
        assert self.near is not None, "votes count"
        assert self.shares is not None, "votes count"
        assert self.received is not None, "votes count"
        near = self.near[items]
        voters, place = np.unique(near, return_inverse=True)
        theirs = scores.pairs(np.array([[row]]), voters[None])[0] + self.shift[voters]
        highest = max(own.max(initial=-np.inf), theirs.max(initial=-np.inf))
        powers = np.exp(self.beta * (theirs - highest))
        others = np.exp(self.beta * (own - highest))[~np.isin(items, voters)]
        of_voters = powers / (powers.sum() + others.sum()) / self.received[voters]
        found: AnyArray = (self.shares[items] * of_voters[place.reshape(near.shape)]).sum(axis=1)
        return found


class Voting(Answering):
    """A stage with what a bank tells of a gallery's items, whose neighbours vote."""

    keeps = "a number for each item, what it gets of the bank's queries, and its nearest items that vote"
