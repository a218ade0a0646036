"""plan: queries and items are given to each other, and queries like this one have a say in it."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.gallery import Gallery
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.scaling import BANK_BY_ITEMS, BY_BOTH, WITHOUT_A_BANK, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import NormalMap, Scores, distinct_rows
from rerankit.stages.banks import RelationsBankStage, check_relations_bank
from rerankit.stages.candidates import items_of, own_scores
from rerankit.stages.cells import Cells
from rerankit.stages.hubness.balance import placed
from rerankit.stages.hubness.claims import claims_for_rounds
from rerankit.stages.hubness.partners import lead_of_rows, partners_of
from rerankit.stages.hubness.shape import normal_map, read_problem, read_scores
from rerankit.stages.hubness.sinkhorn import Sinkhorn
from rerankit.stages.hubness.spread import fall_of
from rerankit.stages.hubness.stage import Beta, beta_of, check_beta
from rerankit.stages.lone import Answering, ComparingStage, Passing, check_lone
from rerankit.stages.neighbours.known import fields_of, state_of_fields
from rerankit.stages.neighbours.others import others_nearest, weights_of_nearest
from rerankit.stages.plan.votes import agreement_of, shares_of, votes_for

_SHARPNESS = 4.0  # of a query's shares among the items, and of neighbours' weights, over the spread of the scores


class TransportPlan(ComparingStage, RelationsBankStage):
    """Give the other queries to the items as `sinkhorn` does, and let those like this query say where they went.

    Two things are known of an item from other queries: how much is asked of it, which is `sinkhorn`'s correction, and
    which queries it is given to. Of the `neighbours` other queries nearest to this one, w their softmax at `sharpness`,
    the vote for an item is v = Σ w p(item | other), and to the query's own β s is added log(1 − a + a n v): how much
    likelier the item is if they looked for the same thing as this query with the chance a. n is the number of items,
    and a is read off the other queries: how often, by their shares, those like one of them name its first item. The
    vote counts by `strength`: less than 1, since what misleads a query misleads those like it, too.

    **A log of earlier queries to the same gallery** gives the most, as a bank: the plan is made once, and one query at
    a time is answered. Its queries need no labels; what matters is that their right items are in the gallery. For a
    bank of queries to something else the vote is worth nothing, and is left out: it counts as far as their best item
    stands out from the next ones, and as there are such queries for every item. Without a bank the test queries are the
    others; they vote as far as several of them belong to one item, and otherwise the answer is that of `sinkhorn`. It
    loses where `sinkhorn` does, and where queries that are alike look for different items.

    `beta` "auto" is 4 over the spread of the scores, `sharpness` "auto" 4 over that of the queries' similarities,
    `cells_kept` the shares that are kept of a query, and `iterations` as in `sinkhorn`. The ranking's notes say what
    was used, with `votes`, how much they count, and `agreement`, which is a.

    >>> import numpy as np
    >>> from rerankit import Problem, rerank
    >>> random = np.random.default_rng(0)
    >>> things = random.normal(size=(100, 32))
    >>> items, log, asked = (
    ...     np.repeat(things, copies, axis=0) + noise * random.normal(size=(100 * copies, 32))
    ...     for copies, noise in ((1, 1.2), (4, 0.8), (1, 0.8))
    ... )
    >>> problem = Problem.from_embeddings(asked, items, query_bank=log)
    >>> found = {name: rerank(problem, name, k=50) for name in ("sinkhorn", "plan")}
    >>> {name: round(float(np.mean(one.indices[:, 0] == np.arange(100))), 2) for name, one in found.items()}
    {'sinkhorn': 0.65, 'plan': 0.75}
    >>> found["plan"].notes["plan"]["votes"]
    0.5
    """

    scaling = Scaling(
        "a number, and the shares that the bank's queries give to it",
        f"{BANK_BY_ITEMS}; bank × bank scores",
        impossible=WITHOUT_A_BANK,
        cut=BY_BOTH,
    )
    name = "plan"
    citation = "rerankit: Sinkhorn's balance, with votes of other queries"
    bank_parts = ("to_gallery", "to_queries", "to_bank")

    def __init__(
        self,
        neighbours: int = 16,
        beta: Beta = "auto",
        sharpness: Beta = "auto",
        iterations: int = 10,
        cells_kept: int = 64,
        strength: float = 0.5,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.beta = check_beta("beta", beta)
        self.sharpness = check_beta("sharpness", sharpness)
        self.iterations = checks.integer("iterations", iterations, least=1)
        self.cells_kept = checks.integer("cells_kept", cells_kept, least=1)
        self.strength = checks.number("strength", strength, least=0, most=1)
        self.bank = check_relations_bank(bank, self.bank_parts)
        self.lone = check_lone(lone)

    @property
    def needs(self) -> tuple[str, ...]:
        return () if isinstance(self.bank, Bank) else ("query_scores",)

    def prepare(self, gallery: Gallery) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        return Planned(self, gallery, self._learned_of(self.known_bank(gallery)))

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        return Planned(self, gallery, Learned.restored(state))

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        if self.is_alone(problem):
            return self.passed(ranking)
        bank = self.bank_for(problem)
        if bank is None:
            assert problem.query_scores is not None, "checked by the stage's needs"
            return self.answer(self.learned(problem.scores, problem.query_scores, None), problem, ranking)
        return self.answer(self._learned_of(bank), problem, ranking)

    def _learned_of(self, bank: Bank) -> Learned:
        assert bank.to_gallery is not None, "checked by the stage's needs"
        assert bank.to_bank is not None, "checked by the stage's needs"
        return self.learned(bank.to_gallery, bank.to_bank, distinct_rows(bank.to_gallery))

    def learned(self, others: Scores, among: Scores, distinct: IntArray | None) -> Learned:
        """What other queries say of the items: their scores (others, items), and those among themselves.

        `distinct` are the rows of a bank that repeat none before them: that a query is asked again tells nothing of the
        items. None: the others are the test queries, each of which counts.
        """
        same = distinct is None
        once = others if distinct is None or len(distinct) == others.shape[0] else others.take(distinct)
        through = normal_map(once) if isinstance(self.beta, str) else None
        repeated = once is not others
        once = read_scores(once, through)
        others = read_scores(others, through) if repeated else once
        rows, columns = once.shape
        fall = fall_of(once)
        best = cache(lambda kept: Cells.best(once, kept))  # claims and shares may want the same
        claims = claims_for_rounds(once, fall.spread, None, best)
        partners = partners_of(once, fall.spread) if same else None
        shift = Sinkhorn(iterations=self.iterations).correction_by(fall, once, same, claims, partners).of_items
        beta = beta_of(self.beta, fall, _SHARPNESS)
        if shift is None or not beta:
            return Learned(0.0, 0.0, 0.0, 0.0, np.zeros(columns))
        sharpness = beta_of(self.sharpness, fall_of(among), _SHARPNESS)
        like = min(1.0, max(0.0, rows / columns - same))  # other queries for each item, without the one that asks
        sure = 0.0
        if sharpness and like:
            sure = partners.each_query if partners else lead_of_rows(once, fall.spread).sure
        votes = self.strength * sure * like
        if not votes:
            return Learned(beta, sharpness, 0.0, 0.0, shift, through=through)
        to_items = shift * beta
        if not same:  # the correction is careful, since these queries are others; what they chose themselves is not
            to_items = placed(claims(beta), self.iterations, same_queries=False)
        kept = self.cells_kept
        shares = shares_of(Cells.best(others, kept) if repeated else best(kept), beta, to_items)
        if distinct is not None and rows < others.shape[0]:
            among = among.take(distinct, distinct)
        agreement = agreement_of(among, shares if distinct is None else shares[distinct], self.neighbours, sharpness)
        return Learned(beta, sharpness, votes, agreement, shift, shares, through)

    def answer(self, learned: Learned, problem: Problem, ranking: Ranking) -> Ranking:
        """The candidates in the order that is learned of the other queries."""
        scores = self.answered(learned, problem, ranking)
        return self.scored(ranking, scores).with_notes(**{self.name: learned.notes()})

    def answered(self, learned: Learned, problem: Problem, ranking: Ranking) -> FloatArray:
        """The candidates' scores (queries, K) with what is learned of the other queries."""
        items = items_of(ranking)
        scores: AnyArray = own_scores(read_problem(problem, learned.through).scores, ranking) + learned.shift[items]
        if learned.votes:
            near, likeness = self._nearest(problem)
            weights = weights_of_nearest(near, likeness, learned.sharpness, learned.shares.shape[0])
            weighed = votes_for(weights, learned.shares, items) * ranking.gallery_size
            shift = np.log1p(learned.agreement * (weighed - 1))
            scores = scores + learned.votes / learned.beta * shift
        return scores.astype(np.float32)

    def _nearest(self, problem: Problem) -> tuple[IntArray, FloatArray]:
        """The nearest other queries (queries, neighbours) of each query, and how near they are."""
        bank = self.bank_for(problem)
        if bank is None:
            assert problem.query_scores is not None, "checked by the stage's needs"
            return others_nearest(problem.query_scores, np.arange(problem.shape[0]), self.neighbours)
        assert bank.to_queries is not None, "checked by the stage's needs"
        return bank.to_queries.T.topk(self.neighbours)


class Learned(NamedTuple):
    """What other queries say of the items."""

    beta: float
    sharpness: float
    votes: float
    """How much the votes count, from 0 to `strength`."""
    agreement: float
    shift: AnyArray
    """What is added to the scores of each item, (items,)."""
    shares: Any = None
    """What each other query gives to the items (others, items), sparse; None where votes do not count."""
    through: NormalMap | None = None
    """What all scores are read through."""

    def notes(self) -> dict[str, float]:
        """What the ranking's notes say."""
        return {name: round(getattr(self, name), 4) for name in ("beta", "sharpness", "votes", "agreement")}

    def state(self) -> State:
        """What is written of it."""
        return state_of_fields(self)

    @classmethod
    def restored(cls, state: State) -> Learned:
        """What `state` was taken of."""
        return cls(**fields_of(state))


class Planned(Answering):
    """A stage with what it has learned of a bank's queries, by which it gives its answer."""

    keeps = "a number for each item; the shares that each query of the bank gives to its best items"
