"""consensus: queries and items are given to each other, and neighbours on one side have a say in it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from scipy import sparse

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import RerankitWarning
from rerankit.events import track
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.scaling import BANK_BY_ITEMS, BY_BOTH, WITHOUT_A_BANK, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import ListScores, Scores, blocks
from rerankit.sides import Side
from rerankit.stages.banks import BankStage, check_bank
from rerankit.stages.candidates import items_of, rows_of
from rerankit.stages.cells import Cells
from rerankit.stages.hubness.balance import balanced, placed
from rerankit.stages.hubness.claims import Claims, ListClaims, claims_for_rounds
from rerankit.stages.hubness.partners import Partners, partners_of, several_belong_to_one
from rerankit.stages.hubness.shape import normal_map, read_problem, read_scores
from rerankit.stages.hubness.sinkhorn import Sinkhorn
from rerankit.stages.hubness.spread import fall_of
from rerankit.stages.hubness.stage import Beta, beta_of, check_beta
from rerankit.stages.lone import ComparingStage, Passing, check_lone
from rerankit.stages.neighbours.item_votes import ItemVotes, Voting
from rerankit.stages.neighbours.others import others_nearest, shares_of_nearest, weights_of_nearest

if TYPE_CHECKING:
    from rerankit.gallery import Gallery

C = TypeVar("C", bound="Consensus")

VOTERS = ("larger", "gallery", "query")
_AUTO_BETA = 4.0  # over the spread of the scores
_AUTO_SHARPNESS = 2.5  # over the spread of the voters' similarities
_SHARPNESS_OF_ITEMS = 4.0  # the same, of items where there is a bank
_ENOUGH = 0.25  # queries of a bank for each item: of fewer, what items get says little
_ALIKE = "scores that are all alike tell nothing of the items: the order is as it came"


class Consensus(ComparingStage, BankStage):
    """Give queries and items to each other as `sinkhorn` does, let neighbours vote, and do it again.

    Of two sides, the voters are the one several of whose items belong to one item of the other, say captions and
    pictures, whichever way one searches: ``"larger"`` takes the larger side for it (the gallery, where both are equal),
    ``"gallery"`` and ``"query"`` say it. To the logarithm of each query's shares is added the vote log(`floor` +
    Σ w p(partner | t')) of the `neighbours` voters t' nearest to a voter t, w their softmax at `sharpness`. Votes of
    items weigh as much as there are queries for each item, at most 1: few queries say little of most items.

    It looks at all test queries. Beside a bank one query at a time is answered: the bank's queries are given to the
    items, as by `sinkhorn`, and items are the voters: to β s goes log(`floor` + Σ w p / r) of the item's neighbours, p
    being the query's shares among its candidates and their neighbours and r what each gets of the bank. These votes
    count as far as the bank shows that several items belong to one query (all of them with ``"gallery"``) and as
    there are bank queries for the items; otherwise the answer is that of `sinkhorn`. It is worth less than all test
    queries at once, which ``bank="queries"`` takes in any case, as ``"query"`` does: queries of a bank vote in `plan`.

    With `equal_shares` every item gets the same total, as in Sinkhorn's balance: it gains much where more items
    than queries are searched and every item has its query among those asked (all pictures of all captions), and
    loses as much where that is not so. "auto" does it as far as the scores show that it is so (`each_item` in the
    notes).

    `beta` "auto" is 4 over the spread of the scores, `sharpness` "auto" 2.5 over that of the voters' similarities (4
    with a bank). The ranking's notes say both, and `agreement`, the share of neighbours' votes that a query's first
    item gets, or with a bank `votes`, how much these count.

    >>> import numpy as np
    >>> from rerankit import Problem, rerank
    >>> captions = np.array([[1, 0.1], [1, 0.3], [0.1, 1], [0.35, 1]])
    >>> problem = Problem.from_embeddings([[1, 0.2], [0.8, 1]], captions)
    >>> rerank(problem, "consensus", k=2, neighbours=1).indices
    array([[0, 1],
           [3, 2]])
    """

    scaling = Scaling(
        "two numbers, and its nearest items",
        f"{BANK_BY_ITEMS}; items × items scores",
        impossible=WITHOUT_A_BANK,
        cut=BY_BOTH,
    )
    name = "consensus"
    citation = "rerankit: Sinkhorn's balance with votes of neighbours"

    def __init__(
        self,
        voters: str = "larger",
        beta: Beta = "auto",
        neighbours: int = 16,
        sharpness: Beta = "auto",
        floor: float = 0.1,
        equal_shares: bool | str = "auto",
        iterations: int = 10,
        cells_kept: int = 64,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.voters = checks.choice("voters", voters, VOTERS)
        self.beta = check_beta("beta", beta)
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.sharpness = check_beta("sharpness", sharpness)
        self.floor = checks.number("floor", floor, above=0)
        self.equal_shares = _check_shares(equal_shares)
        self.iterations = checks.integer("iterations", iterations, least=1)
        self.cells_kept = checks.integer("cells_kept", cells_kept, least=1)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def reversed(self: C) -> C:
        """The stage for the reversed problem, where the same items vote."""
        other = {"gallery": "query", "query": "gallery"}
        return self.clone(voters=other[self.voters]) if self.voters in other else self

    @property
    def needs(self) -> tuple[str, ...]:
        if self.voters == "larger":  # which of them only the problem tells
            return ("query_scores", "gallery_scores")
        return (f"{self.voters}_scores",)

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        needs = super().needs_on(problem)
        compares = self.compares_test_queries(problem.query_bank)
        return needs if compares else tuple(need for need in needs if need != "query_scores")

    def compares_test_queries(self, bank: Bank | None) -> bool:
        return self.voters == "query" or super().compares_test_queries(bank)

    def prepare(self, gallery: Gallery) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        return Voting(self, gallery, self.learned(gallery.side, self.known_queries(gallery)))

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        return Passing(self, gallery) if self.passes(gallery) else Voting(self, gallery, ItemVotes.restored(state))

    def learned(self, items: Side, known: Scores) -> ItemVotes:
        """What the queries of a bank (bank, items) tell of the items, and the neighbours of each."""
        once = self.each_once(known)
        through = normal_map(once) if isinstance(self.beta, str) else None
        once = read_scores(once, through)
        fall = fall_of(once)
        shift = Sinkhorn(iterations=self.iterations).correction_by(fall, once, False).of_items
        beta = beta_of(self.beta, fall, _AUTO_BETA)
        found = ItemVotes(beta, 0.0, 0.0, self.floor, np.zeros(items.size) if shift is None else shift, through=through)
        weight = self._weight(once) if beta else 0.0
        assert items.scores is not None, "checked by the stage's needs"
        sharpness = beta_of(self.sharpness, fall_of(items.scores), _SHARPNESS_OF_ITEMS)
        if not weight or not sharpness:
            return found
        received = _received(once, beta, fall.spread, self.iterations, self.cells_kept)
        every = np.arange(items.size)
        near, likeness = others_nearest(items.scores, every, self.neighbours)
        shares = shares_of_nearest(near, likeness, sharpness).astype(np.float32)
        near = np.where(near >= 0, near, every[:, None]).astype(np.int32)
        return found._replace(weight=weight, sharpness=sharpness, received=received, near=near, shares=shares)

    def _weight(self, once: Scores) -> float:
        """How much votes of items count with a bank."""
        queries, items = once.shape
        sure = 1.0 if self.voters == "gallery" else partners_of(once.T).several_queries
        return sure * min(1.0, queries / items / _ENOUGH)

    def answer(self, votes: ItemVotes, problem: Problem, ranking: Ranking) -> Ranking:
        """The candidates in the order that follows from the items' votes."""
        return self.scored(ranking, votes.answered(problem, ranking)).with_notes(**{self.name: votes.notes()})

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self._answer(problem, ranking)[0]

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        if self.is_alone(problem):
            return self.passed(ranking)
        if not self.compares_test_queries(problem.query_bank):
            return self.answer(self.learned(problem.gallery, self.other_queries(problem)), problem, ranking)
        scores, notes = self._answer(problem, ranking)
        return self.scored(ranking, scores).with_notes(**{self.name: notes})

    def _answer(self, problem: Problem, ranking: Ranking) -> tuple[FloatArray, dict[str, Any]]:
        problem = read_problem(problem, normal_map(problem.scores) if isinstance(self.beta, str) else None)
        fall = fall_of(problem.scores)
        beta = beta_of(self.beta, fall, _AUTO_BETA)
        if not beta:
            return ranking.scores, {"note": _ALIKE}
        cells = Cells.best(problem.scores, self.cells_kept, ranking.indices)
        self._check_voters(problem.scores)
        partners = self._partners(problem.scores)
        claims = claims_for_rounds(problem.scores, fall.spread, self.cells_kept)
        shift = balanced(lambda share: claims(share * beta), self.iterations, partners)
        shares = cells.row_shares(beta * cells.scores.astype(np.float64) + shift[cells.columns])
        votes = self._votes(problem, cells, shares, partners.each_item)
        logits = np.log(np.maximum(shares, 1e-300)) + votes.weight * np.log(self.floor + votes.of_cells)
        again = balanced(lambda share: _claims(cells, share * logits), max(1, self.iterations // 2), partners)
        found = cells.at(logits + again[cells.columns], rows_of(ranking), items_of(ranking), float(logits.min()) - 1)
        agreement = float(np.mean(votes.of_cells[_first(cells, shares)]))
        notes = {"beta": beta, "sharpness": votes.sharpness, "agreement": agreement}
        return found.astype(np.float32), notes | partners.notes()

    def _check_voters(self, scores: Scores) -> None:
        """Say so where it is the other side several of whose items belong to one."""
        facing = {"gallery": scores, "query": scores.T}.get(self.voters)
        if facing is not None and several_belong_to_one(facing):
            other = "query" if self.voters == "gallery" else "gallery"
            warnings.warn(
                f"stage '{self.name}' has voters='{self.voters}', but by the scores several items of the other side "
                f"belong to one: voters='{other}', or 'larger'",
                RerankitWarning,
                stacklevel=4,
            )

    def _partners(self, scores: Scores) -> Partners:
        """Who belongs to whom, by the scores, or as the parameter says."""
        if isinstance(self.equal_shares, str):
            return partners_of(scores)
        return Partners(float(self.equal_shares), 0.0, 0.0)

    def _votes(self, problem: Problem, cells: Cells, shares: AnyArray, each_item: float) -> Votes:
        """What the voters' neighbours say of every cell."""
        queries, items = problem.shape
        larger = "query" if queries > items else "gallery"
        by_query = (larger if self.voters == "larger" else self.voters) == "query"
        among = problem.query_scores if by_query else problem.gallery_scores
        assert among is not None, "checked by the stage's needs"
        sharpness = beta_of(self.sharpness, fall_of(among), _AUTO_SHARPNESS)
        near, likeness = others_nearest(among, np.arange(among.shape[0]), self.neighbours)
        edges = weights_of_nearest(near, likeness, sharpness, among.shape[0])
        if by_query:
            return Votes(_products(edges, _matrix(cells, shares), cells), 1.0, sharpness)
        received = np.maximum(cells.over_columns(shares), min(1.0, queries / items))
        of_items = shares / received[cells.columns]
        weight = max(each_item, min(1.0, queries / items))
        return Votes(_products(_matrix(cells, of_items), edges.T.tocsr(), cells), weight, sharpness)


def _check_shares(given: bool | str) -> bool | str:
    if isinstance(given, str):
        return checks.choice("equal_shares", given, ("auto",))
    return checks.boolean("equal_shares", given)


class Votes(NamedTuple):
    """What neighbours say."""

    of_cells: AnyArray
    """Σ w p (cells,), from 0 to 1."""
    weight: float
    """How much it counts."""
    sharpness: float


def _received(once: Scores, beta: float, sigma: float, rounds: int, kept: int) -> AnyArray:
    """What each item gets of a bank's queries (bank, items) after these have been given to the items, (items,)."""
    to_items = placed(claims_for_rounds(once, sigma, kept)(beta), rounds, same_queries=False)
    cells = Cells.best(once, kept)
    shares = cells.row_shares(beta * cells.scores.astype(np.float64) + to_items[cells.columns])
    return np.maximum(cells.over_columns(shares), min(1.0, once.shape[0] / once.shape[1]))


def _matrix(cells: Cells, values: AnyArray) -> Any:
    """Cells' values (queries, items), sparse."""
    return sparse.csr_matrix((values, cells.columns, cells.starts), shape=cells.shape)


def _products(left: Any, right: Any, cells: Cells) -> AnyArray:
    """The product of two sparse matrices at the cells (cells,), block by block."""
    found = np.empty(len(cells.keys))
    for block in track(list(blocks(cells.shape[0], cells.shape[1] * 16, share=0.5)), "votes"):
        here = slice(cells.starts[block.start], cells.starts[block.stop])
        dense = (left[block] @ right).toarray()
        found[here] = dense[cells.rows[here] - block.start, cells.columns[here]]
    return found


def _claims(cells: Cells, logits: AnyArray) -> Claims:
    """Claims by the cells' logits; what is not among a query's cells stands at its lowest one."""
    lists = ListScores.from_cells(cells.rows, cells.columns, logits.astype(np.float32), cells.shape)
    some = np.flatnonzero(np.diff(cells.starts))
    lowest = np.full(cells.shape[0], -np.inf)
    lowest[some] = np.minimum.reduceat(logits, cells.starts[some])
    return ListClaims(lists, lowest, 1.0)


def _first(cells: Cells, values: AnyArray) -> IntArray:
    """The place of each query's highest value among the cells."""
    order = np.lexsort((-values, cells.rows))
    found: IntArray = order[cells.starts[:-1][np.diff(cells.starts) > 0]]
    return found
