"""The stage `pillar-plus`; importable without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.bank import Bank
from rerankit.errors import InputError
from rerankit.extras import require
from rerankit.gallery import Gallery
from rerankit.pipelines.needs import WEIGHTS, Need, Unmet
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.scaling import AMONG_ITEMS, BANK_BY_ITEMS, BY_BOTH, WITHOUT_A_BANK, Scaling
from rerankit.pipelines.trainable import Judged
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.reranking import rerank
from rerankit.scores import Scores, distinct_rows
from rerankit.stages.banks import OF_ONE_DIRECTION, RelationsBankStage, check_relations_bank
from rerankit.stages.hubness.shape import normal_map, read_problem
from rerankit.stages.pillar.directions import DIRECTIONS, Direction, other, warn_of_the_other_side
from rerankit.stages.pillar.plus.likeness import like_log, like_training, of_training, say_of
from rerankit.stages.pillar.plus.log import LearnedOfLog, PlusPlanned
from rerankit.stages.pillar.plus.settings import PlusSettings, pair, parts_thinned, two
from rerankit.stages.pillar.plus.shipped import names, shipped
from rerankit.stages.plan.stage import TransportPlan
from rerankit.training.settings import TrainingSettings
from rerankit.training.trained import Reasoner, TrainingPart, arrays_of, seeded

if TYPE_CHECKING:
    from rerankit.stages.pillar.plus.network import PlusNetwork


class PillarPlus(RelationsBankStage, Reasoner):
    """Reason in pillar space over the cells of both directions at once, and let one shared plan say who fits whom.

    The pillars of a candidate pair say how likely it is: columns near its column and rows near its row vote under the
    current plan, a row's likely columns are compared with this one. A small network corrects the plan in `rounds`, and
    after each the plan is balanced again, so that an item wanted by many is given to the best. It learns from
    similarities only.

    `diversity` (i2t, t2i) lowers items that are like one placed before them, so that the captions of one wrong picture
    do not fill the first places; the first place never changes. Diversity raises the chance that anything right is
    among the first 5 or 10, and loses a little mean average precision where several items are right: (0, 0) turns it
    off, and so do pairs. Batches of a few queries can lose a little, too (at most half a point of R@1 where it was
    measured).

    `weights="captions"` are weights that ship with rerankit, learned on captions; they need no `fit`, and `fit` goes on
    from them. See `rerankit.stages.pillar.plus.shipped.card("captions")` for where they were measured.

    **With a log of earlier queries to the same gallery** as its bank (their right items are in it, no labels are
    needed) it answers one query at a time: the log's plan is made once, and a new query is told what was settled there.
    It does so in direction "t2i", where several queries belong to one item, as far as the log's queries are sure of
    their items and ask for all of them evenly (`like_training` in the notes); otherwise the answer is that of `plan`
    with the same bank.
    `bank` is None (the problem's `query_bank` when it has one, the test queries otherwise), "queries", or a `Bank`.

    `direction` says which side this problem's rows are ("i2t": the side with fewer, broader items, as images are to
    their captions); `reversed()` is the stage for the other side, with the same weights. It looks at all queries under
    test together. Its plan speaks as far as queries can speak for the items: where fewer queries are asked for each
    item than in training, the scores come back to the backbone's in that measure (`say` in the ranking's notes), and
    one query alone keeps its order. Weights that were trained where several columns belong to a row do not know pairs,
    nor the other way round: as far as the scores show the other thing (`like_training` in the notes), or do not tell
    where both sides are equally many, the untrained balance of `sinkhorn` speaks.

    >>> PillarPlus(direction="t2i").reversed()
    stage('pillar-plus')
    """

    scaling = Scaling(
        keeps="its cells with earlier queries, their shares in each round, and its nearest items",
        once=f"{AMONG_ITEMS}; {BANK_BY_ITEMS}; bank × bank scores; the network over the bank's cells",
        impossible=WITHOUT_A_BANK,
        cut=f"{BY_BOTH}, but for the network",
    )
    name = "pillar-plus"
    extra = "pillar"
    citation = "rerankit: a plan of both directions, corrected by a small network"
    of_training = ("asked", "several", "leads")
    bank_parts = ("to_gallery", "to_queries", "to_bank")

    def __init__(
        self,
        direction: Direction = "i2t",
        cells_seen: Sequence[int] = (64, 32),
        cells_kept: Sequence[int] = (32, 16),
        pillars: int = 16,
        likely: Sequence[int] = (16, 8),
        sharpness: float = 4.4,
        neighbour_sharpness: float = 3.0,
        rounds: int = 2,
        width: int = 32,
        dropout: float = 0.2,
        parts: int = 6,
        thinned: Sequence[int] = (0, 0, 1, 0, 0, 2),
        diversity: Sequence[float] = (0.5, 0.0),
        off: Sequence[str] = (),
        device: str = "auto",
        weights: str | None = None,
        bank: Any = None,
    ) -> None:
        self.direction: Direction = checks.choice("direction", direction, DIRECTIONS)
        # Tuples, whatever was given: a stage read back from JSON is then the same, down to its repr.
        self.cells_seen, self.cells_kept = pair("cells_seen", cells_seen), pair("cells_kept", cells_kept)
        self.likely = pair("likely", likely)
        self.pillars = checks.integer("pillars", pillars, least=1)
        self.sharpness = checks.number("sharpness", sharpness, above=0)
        self.neighbour_sharpness = checks.number("neighbour_sharpness", neighbour_sharpness, above=0)
        self.rounds = checks.integer("rounds", rounds, least=1)
        self.width = checks.integer("width", width, least=1)
        self.dropout = checks.number("dropout", dropout, least=0, most=1)
        self.parts = checks.integer("parts", parts, least=1)
        self.thinned = parts_thinned(thinned)
        self.diversity = tuple(checks.number("diversity", weight, least=0) for weight in two("diversity", diversity))
        self.off = tuple(off)
        self.device = device
        self.weights = weights
        self.bank = check_relations_bank(bank, self.bank_parts)
        self._weights = {} if weights is None else shipped(weights)

    @property
    def needs(self) -> tuple[str, ...]:
        return (*super().needs, WEIGHTS)

    def unmet(self, problem: Problem) -> list[Unmet]:
        why = f"needs weights: give weights={' or '.join(map(repr, names()))}, which ship, or {Need.of(WEIGHTS).how}"
        return [each if str(each.need) != WEIGHTS else Unmet(self, each.need, why) for each in super().unmet(problem)]

    @property
    def settings(self) -> PlusSettings:
        """The sizes as one record."""
        return PlusSettings(**{field.name: getattr(self, field.name) for field in fields(PlusSettings)})

    def reversed(self) -> PillarPlus:
        """The stage for the other direction, with the same weights."""
        if isinstance(self.bank, Bank):
            raise InputError(OF_ONE_DIRECTION)
        return self.clone(direction=other(self.direction))

    def prepare(self, gallery: Gallery) -> Prepared:
        bank = self.known_bank(gallery)
        if gallery.side.scores is None:
            raise InputError(f"stage '{self.name}' needs similarities among the items: give Gallery(vectors, …)")
        return PlusPlanned(self, gallery, self._learned(bank, gallery.side.scores))

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        return PlusPlanned(self, gallery, LearnedOfLog.restored(state))

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        """Scores (queries, K): of the cells; items that are no cell come behind, in their order."""
        oriented = self._oriented(problem)
        return self._scores(oriented, [ranking], like_training(self._weights, oriented))[0]

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        bank = self.bank_for(problem)
        if bank is not None:
            assert problem.gallery_scores is not None, "checked by the stage's needs"
            return self.answer(self._learned(bank, problem.gallery_scores), problem, ranking)
        if len(ranking) == 1:
            return ranking.with_notes(
                **{self.name: {"say": 0.0, "note": "one query is no plan: the order is as it came"}}
            )
        oriented, backwards = self._oriented(problem), self.direction == "t2i"
        likes = like_training(self._weights, oriented)
        found = self.scored(ranking, self._scores(oriented, [ranking], likes)[0])
        say, like = say_of(self._weights, problem.shape, backwards=backwards), likes[backwards]
        return found.with_notes(**{self.name: {"say": round(say, 4), "like_training": round(like, 4)}})

    def rerank_both(self, problem: Problem, k: int | None = 100) -> tuple[Ranking, Ranking]:
        """Both directions of a problem, as (this direction, the other), from one run over the cells."""
        self.check(problem)
        back = self.reversed()
        if self.bank_for(problem) is not None or back.bank_for(problem.reversed()) is not None:
            return rerank(problem, self, k), rerank(problem.reversed(), back, k)
        rankings = problem.ranking(k), problem.reversed().ranking(k)
        oriented = self._oriented(problem)
        both = self._scores(oriented, list(rankings), like_training(self._weights, oriented))
        notes = {"stages": [repr(self)], "looks_at": self.looks_at()}
        return tuple(  # type: ignore[return-value]
            self.scored(ranking, scores).with_notes(**notes) for ranking, scores in zip(rankings, both, strict=True)
        )

    def _learned(self, bank: Bank, gallery_scores: Scores) -> LearnedOfLog:
        """What a bank's queries say of items: the plan's answer, and the network's as far as it knows such queries."""
        assert bank.to_gallery is not None, "checked by the stage's needs"
        assert bank.to_bank is not None, "checked by the stage's needs"
        asked = distinct_rows(bank.to_gallery)
        planned = TransportPlan().learned(bank.to_gallery, bank.to_bank, asked)
        knows = planned.beta and planned.through is None and self.direction == "t2i"
        once = bank.some(asked)
        assert once.to_gallery is not None, "the bank has it"
        like = like_log(self._weights, once.to_gallery) if knows else 0.0
        if not like:
            return LearnedOfLog(planned, 0.0, None)
        require("torch", extra="pillar", purpose=f"stage '{self.name}'")
        from rerankit.stages.pillar.plus.earlier import Earlier

        return LearnedOfLog(planned, like, Earlier.of(self.network, once, asked, gallery_scores, self.settings))

    def answer(self, learned: LearnedOfLog, problem: Problem, ranking: Ranking) -> Ranking:
        """The candidates in the order that a bank's queries say."""
        scores = TransportPlan(bank=self.bank).answered(learned.planned, problem, ranking)
        if learned.earlier is not None:
            from rerankit.stages.pillar.plus.answers import placed
            from rerankit.stages.pillar.plus.earlier import scores_of_new

            bank = self.bank_for(problem)
            assert bank is not None, "there was one when it was learned from"
            cells = learned.earlier.cells(problem, bank, self.settings)
            reasoned = placed(cells, scores_of_new(self.network, learned.earlier, cells), ranking, backwards=True)
            mixed = learned.like * reasoned + (1 - learned.like) * learned.planned.beta * scores
            scores = np.where(ranking.mask, mixed, reasoned).astype(np.float32)
        notes = {"like_training": round(learned.like, 4), **learned.planned.notes()}
        return self.scored(ranking, scores).with_notes(**{self.name: notes})

    def _scores(self, oriented: Problem, rankings: list[Ranking], likes: tuple[float, float]) -> list[FloatArray]:
        """Scores for a ranking of this direction and, when there are two, for one of the other."""
        torch = require("torch", extra="pillar", purpose=f"stage '{self.name}'")
        from rerankit.stages.pillar.plus.answers import answers, balanced
        from rerankit.stages.pillar.plus.cells import cells_of

        network = self.network
        cells = cells_of(oriented, self.settings).to(next(network.parameters()).device)
        with torch.inference_mode():
            both = network(cells)[-1]
        backwards = self.direction == "t2i"
        asked = (backwards, not backwards)[: len(rankings)]
        plain = self.sharpness * cells.fixed[:, 0]
        found = []
        for at, ranking in zip(asked, rankings, strict=True):
            say, like = say_of(self._weights, (len(ranking), ranking.gallery_size), backwards=at), likes[at]
            weights = like * self.diversity[0], like * self.diversity[1]  # of pairs none is like another one by right
            mixed = say * both[at] + (1 - say) * plain
            scores = (both[0], mixed) if at else (mixed, both[1])
            learned = answers(cells, scores, ranking, oriented, backwards=at, diversity=weights)
            found.append(learned if like == 1 else balanced(learned, like, ranking, oriented, backwards=at))
        return found

    def _oriented(self, problem: Problem) -> Problem:
        """The problem as the network takes it; what speaks against this stage's direction is said."""
        warn_of_the_other_side(self.name, self.direction, problem.scores)
        return _read(problem if self.direction == "i2t" else problem.reversed())

    # -- weights and training ----------------------------------------------------------------------------

    def training_settings(self) -> TrainingSettings:
        """How this stage is trained when nothing else is said: every step is a whole part of the problem."""
        return TrainingSettings(16, 1, 5e-3, schedule="one-cycle", weight_decay=0.05, clip_norm=5.0)

    def tasks(
        self, problem: Problem, relevance: Relevance, validation: Judged | None, settings: TrainingSettings
    ) -> Iterator[TrainingPart]:
        """`parts` halves of a problem whose rows are of this stage's `direction`. The first figure is the sum of R@1,
        R@5, R@10 in both directions.
        """
        from rerankit.stages.pillar.plus.fitting import HeldOut, PlusTask, parts_of

        training = self._judged(problem, relevance)
        others = None if validation is None else self._judged(*validation, "validation[1]")
        held_out = None
        if others is not None:
            held_out = HeldOut(*others, self.settings, (self.diversity[0], self.diversity[1]))
        parts = list(parts_of(*training, self.settings, self.parts, settings.seed, self.thinned))
        known = of_training(training[0], parts)
        task = PlusTask(self.loaded(seeded(settings.seed, self.build)), parts, held_out, known)
        sizes = {name: getattr(self, name) for name in ("settings", "thinned", "diversity", "parts")}
        task.reads = {**sizes, "training": training, "validation": others}
        yield "", task, settings

    def take(self, part: str, task: Any) -> None:
        # How many batches a norm has seen plays no part in what it computes.
        counted = {n: array for n, array in arrays_of(task.model).items() if not n.endswith("num_batches_tracked")}
        self.set_weights(counted | task.known)

    def _judged(self, problem: Problem, relevance: Relevance, argument: str = "relevance") -> tuple[Problem, Relevance]:
        from rerankit.stages.pillar.sides import check_pair

        check_pair(problem, relevance, argument)
        facing = (problem, relevance) if self.direction == "i2t" else (problem.reversed(), relevance.reversed())
        return _read(facing[0]), facing[1]

    def build(self) -> PlusNetwork:
        """A new network of this stage's sizes."""
        from rerankit.stages.pillar.plus.network import PlusNetwork

        return PlusNetwork(self.settings)


def _read(oriented: Problem) -> Problem:
    """A problem whose rows are those of "i2t", with its scores read as normal ones where they are bent."""
    return read_problem(oriented, normal_map(oriented.scores))
