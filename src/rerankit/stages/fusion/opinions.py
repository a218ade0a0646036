"""What can be said about a candidate from scores alone: the columns that `learned-fusion` weighs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rerankit.arrays import AnyArray, FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import ranks_among, shared_ranks
from rerankit.scores import ListScores, Scores
from rerankit.stages.candidates import filled, items_of, own_scores
from rerankit.stages.hubness.balance import against_claims, placed
from rerankit.stages.hubness.claims import claims_for_rounds, claims_of
from rerankit.stages.hubness.frame import frame_of
from rerankit.stages.hubness.highest import column_top_mean
from rerankit.stages.hubness.inverted_softmax import FLOOR
from rerankit.stages.hubness.spread import rows_alone, spread

_NEAR = 8  # how many neighbours have a say
_SHARPNESS = 2.0  # over the spread of the scores


@dataclass(frozen=True)
class Evidence:
    """What an opinion is formed on. Scores are in spreads above `centre`, so that their scale plays no part."""

    problem: Problem
    ranking: Ranking
    others: Scores
    """Scores (others, gallery) of the test queries, or of a bank's."""
    beta: float
    own: FloatArray
    """The candidates' own scores (queries, K)."""
    spread: AnyArray
    """That of the other queries' scores, or of each query's own (queries, 1) where no opinion looks at others."""
    centre: AnyArray
    """What is usual among them."""

    @property
    def alone(self) -> bool:
        """Whether every query is read by itself."""
        return self.spread.ndim > 0

    def standard(self, scores: AnyArray) -> FloatArray:
        """Scores in spreads above the centre."""
        result: FloatArray = ((scores - self.centre) / self.spread).astype(np.float32)
        return result

    def apart(self, differences: AnyArray) -> FloatArray:
        """Differences of scores in spreads."""
        result: FloatArray = (differences / self.spread).astype(np.float32)
        return result


@dataclass(frozen=True)
class Opinion:
    """One column: a function, what it needs, and whether it looks at other queries ("bank": a bank will do)."""

    of: Callable[[Evidence], FloatArray]
    needs: tuple[str, ...] = ()
    looks_at: str = "nothing"


def _incoming(evidence: Evidence) -> FloatArray:
    ranking = evidence.ranking
    incoming = ListScores(ranking.indices, ranking.scores, ranking.gallery_size)
    own = rows_alone(incoming)[0][:, None] if evidence.alone else np.float64(spread(incoming))
    best = np.where(ranking.mask[:, :1], ranking.scores[:, :1], 0)
    result: FloatArray = np.where(ranking.mask, (ranking.scores - best) / np.where(own > 0, own, 1), 0).astype(
        np.float32
    )
    return result


def _margin(evidence: Evidence) -> FloatArray:
    best: FloatArray = np.where(evidence.ranking.mask, evidence.own, -np.inf).max(axis=1, keepdims=True)
    return evidence.apart(evidence.own - np.where(np.isfinite(best), best, np.float32(0)))


def _rank(evidence: Evidence) -> FloatArray:
    ranks = shared_ranks(np.where(evidence.ranking.mask, evidence.own, np.float32(np.nan)))
    return -np.log(np.where(np.isnan(ranks), ranks.shape[1], ranks))


def _back_rank(evidence: Evidence) -> FloatArray:
    queries = np.arange(len(evidence.ranking))[:, None] if evidence.others is evidence.problem.scores else None
    return -np.log(ranks_among(evidence.others, items_of(evidence.ranking), evidence.own, queries))


def _hubness(evidence: Evidence) -> FloatArray:
    return evidence.standard(column_top_mean(evidence.others, 16)[items_of(evidence.ranking)])


def _level(evidence: Evidence) -> FloatArray:
    shift = against_claims(claims_of(evidence.others, evidence.beta, float(evidence.spread)), FLOOR)
    return evidence.standard(evidence.own + shift[items_of(evidence.ranking)] / evidence.beta)


def _back_margin(evidence: Evidence) -> FloatArray:
    return evidence.apart(evidence.own - column_top_mean(evidence.others, 1)[items_of(evidence.ranking)])


def _balance(evidence: Evidence) -> FloatArray:
    claims = claims_for_rounds(evidence.others, float(evidence.spread), None)(evidence.beta)
    shift = placed(claims, 10, same_queries=evidence.others is evidence.problem.scores)
    return evidence.standard(evidence.own + shift[items_of(evidence.ranking)] / evidence.beta)


def _gallery_opinion(evidence: Evidence) -> FloatArray:
    from rerankit.stages.neighbours.dba import DBA

    return evidence.standard(DBA(neighbours=_NEAR, strength=1.0).rescore(evidence.problem, evidence.ranking))


def _query_opinion(evidence: Evidence) -> FloatArray:
    from rerankit.stages.neighbours.others import others_nearest

    among = evidence.problem.query_scores
    assert among is not None, "checked by the stage's needs"
    every = np.arange(len(evidence.ranking))
    near = others_nearest(among, every, _NEAR)[0]
    total = evidence.own.copy()
    for column in near.T:
        chosen = np.where(column >= 0, column, every)
        total += filled(evidence.problem.scores.pairs(chosen[:, None], items_of(evidence.ranking)))
    return evidence.standard(total / np.float32(1 + near.shape[1]))


def _votes(voters: str) -> Callable[[Evidence], FloatArray]:
    def of(evidence: Evidence) -> FloatArray:
        from rerankit.stages.neighbours.consensus import Consensus

        return Consensus(voters=voters, beta=evidence.beta, bank="queries").rescore(evidence.problem, evidence.ranking)

    return of


OPINIONS: dict[str, Opinion] = {
    "score": Opinion(lambda evidence: evidence.standard(evidence.own)),
    "incoming": Opinion(_incoming),
    "margin": Opinion(_margin),
    "rank": Opinion(_rank),
    "back-rank": Opinion(_back_rank, looks_at="bank"),
    "hubness": Opinion(_hubness, looks_at="bank"),
    "level": Opinion(_level, looks_at="bank"),
    "back-margin": Opinion(_back_margin, looks_at="bank"),
    "balance": Opinion(_balance, looks_at="bank"),
    "gallery-opinion": Opinion(_gallery_opinion, needs=("gallery_scores",)),
    "query-opinion": Opinion(_query_opinion, needs=("query_scores",), looks_at="queries"),
    "gallery-votes": Opinion(_votes("gallery"), needs=("gallery_scores",), looks_at="queries"),
    "query-votes": Opinion(_votes("query"), needs=("query_scores",), looks_at="queries"),
}
"""Every column by its name in `opinions=`."""


def columns(
    names: tuple[str, ...], problem: Problem, ranking: Ranking, others: Scores | None, beta: float | str
) -> FloatArray:
    """The named columns for every candidate: (queries, K, columns); `beta` "auto" is 2 over the scores' spread.

    Without `others` every query is measured in its own spread.
    """
    own = own_scores(problem.scores, ranking)
    if others is None:
        apart, centre = (values[:, None] for values in rows_alone(problem.scores))
        others = problem.scores
    else:
        frame = frame_of(others)
        apart, centre = np.float64(frame.spread), np.float64(frame.usual.mean())
    apart = np.where(apart > 0, apart, 1.0)[()]
    sharpness = _SHARPNESS / float(apart.mean()) if isinstance(beta, str) else beta
    evidence = Evidence(problem, ranking, others, sharpness, own, apart, centre)
    return np.stack([OPINIONS[name].of(evidence).astype(np.float32) for name in names], axis=-1)
