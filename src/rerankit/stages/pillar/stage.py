"""The stage `pillar`; importable without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError, NotFittedError, rule
from rerankit.extras import require
from rerankit.pipelines.needs import WEIGHTS, Need, Unmet
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.scaling import BY_ITEMS, WITHOUT_A_BANK, Scaling
from rerankit.pipelines.trainable import Judged
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.reranking import rerank
from rerankit.scores.nearest import nearest
from rerankit.scores.searching import Searching
from rerankit.seams import splice
from rerankit.stages.banks import OF_ONE_DIRECTION, RelationsBankStage, check_relations_bank
from rerankit.stages.pillar.directions import DIRECTIONS, Direction, kept, other, value_of, warn_of_the_other_side
from rerankit.stages.pillar.relations import Nearest, Relations
from rerankit.stages.pillar.representation import PillarSpace
from rerankit.stages.pillar.settings import LossWeights
from rerankit.training.settings import PRECISIONS, TrainingSettings
from rerankit.training.trained import Reasoner, TrainingPart, arrays_of, seeded

if TYPE_CHECKING:
    import torch

    from rerankit.gallery import Gallery

P = TypeVar("P", bound="Pillar")
Lists = tuple[IntArray, IntArray]


class Pillar(RelationsBankStage, Reasoner):
    """Reason over a query's neighbourhood: nodes described by pillars, attention steered by shared neighbours.

    The query and its first candidates are re-described by their similarities to the query's nearest items of both
    sides, exchange information, and a candidate's score is the cosine of its node with the query's node. Nothing
    but similarities is read, so a fitted reasoner applies to other backbones. On similarities of CLIP it loses from
    image to text and gains little the other way: `pillar-plus` is the one for those.

    One object holds the networks of both directions; `direction` says which one this problem's rows are ("i2t": rows
    are images), `reversed()` gives the stage for the other. With `both` off it trains, keeps and saves its own
    direction alone. `candidates` and `threshold` are one number, or one for each direction (i2t, t2i). Needs
    query_scores (or a bank of other queries, see `bank`) and gallery_scores.

    `bank` is None (the problem's `query_bank` when it has one, the test queries otherwise), "queries" (always the test
    queries), or a `Bank` with both relations. `form` is "dense" or "graph" (message passing): the same numbers.
    `losses` weighs those of training (see `rerankit.stages.pillar.settings.LossWeights`).

    >>> Pillar(direction="t2i", candidates=15).candidates
    15
    """

    scaling = Scaling(
        "its nearest items in gallery and bank",
        "items × items and items × bank scores, block by block",
        shared="the lists and the weights of the network",
        impossible=WITHOUT_A_BANK,
        cut=BY_ITEMS,
    )
    name = "pillar"
    extra = "pillar"
    citation = "Qu et al., Learnable Pillar-based Re-ranking for Image-Text Retrieval (SIGIR 2023)"

    def __init__(
        self,
        direction: Direction = "i2t",
        candidates: int | Sequence[int] = (31, 7),
        pillars: int = 64,
        neighbours: int = 10,
        threshold: float | Sequence[float] = (0.8 / 32, 0.8 / 8),
        width: int = 768,
        layers: int = 2,
        heads: int = 24,
        expansion: int = 4,
        bias: bool = True,
        form: str = "dense",
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        bank: Any = None,
        both: bool = True,
        losses: Mapping[str, float] | None = None,
    ) -> None:
        self.direction: Direction = checks.choice("direction", direction, DIRECTIONS)
        self.candidates = kept(candidates)
        self.pillars = checks.integer("pillars", pillars, least=1)
        self.neighbours = checks.integer("neighbours", neighbours, least=1, most=100)
        self.threshold = kept(threshold)
        self.width = checks.integer("width", width, least=1)
        self.layers = checks.integer("layers", layers, least=0)
        self.heads = checks.integer("heads", heads, least=1)
        self.expansion = checks.integer("expansion", expansion, least=1)
        self.bias = checks.boolean("bias", bias)
        self.form = checks.choice("form", form, ("dense", "graph"))
        self.device = device
        self.precision = checks.choice("precision", precision, PRECISIONS)
        self.compile = checks.boolean("compile", compile)
        self.bank = check_relations_bank(bank, self.bank_parts)
        self.both = checks.boolean("both", both)
        self.losses = losses
        LossWeights.of(losses)
        for one in DIRECTIONS:
            checks.integer("candidates", value_of(self.candidates, one, "candidates"), least=1)
            checks.number("threshold", value_of(self.threshold, one, "threshold"), least=0, most=1)
        if width % heads:
            raise rule("heads", f"must divide the width, {width}", heads)

    # -- what it needs -----------------------------------------------------------------------------------

    @property
    def needs(self) -> tuple[str, ...]:
        return (*super().needs, WEIGHTS)

    def unmet(self, problem: Problem) -> list[Unmet]:
        faults = super().unmet(problem)
        if self.fitted and self.direction not in self.directions:
            why = f"was fitted for {self.directions[0]} alone, not for {self.direction}"
            faults.append(Unmet(self, Need.of(WEIGHTS), why))
        return faults

    # -- re-ranking --------------------------------------------------------------------------------------

    def reversed(self: P) -> P:
        """The stage for the other direction, with the same weights."""
        if isinstance(self.bank, Bank):
            raise InputError(OF_ONE_DIRECTION)
        return self.clone(direction=other(self.direction))

    def reorder(self, problem: Problem, ranking: Ranking, known: Lists | None = None) -> Ranking:
        """The first `candidates` in a new order, the others behind them in theirs; the lists of the gallery's items may
        be known.
        """
        first = ranking.top(value_of(self.candidates, self.direction))
        return splice(self.scored(first, self._cosines(problem, first, known)), ranking)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        """The reasoner's cosines (queries, K)."""
        return self._cosines(problem, ranking, None)

    def _cosines(self, problem: Problem, ranking: Ranking, known: Lists | None) -> FloatArray:
        warn_of_the_other_side(self.name, self.direction, problem.scores)
        relations = Relations.of(problem, self.bank_for(problem))
        sizes = self.pillars, self.neighbours
        if known is None:
            return self._score(PillarSpace.of(relations, *sizes, ranking.indices), ranking)
        return self._score(PillarSpace(relations, Nearest.of_known(relations, *sizes, known), *sizes), ranking)

    def started(self, problem: Problem) -> Prepared | None:
        if self.bank_for(problem) is not None or not isinstance(problem.scores, Searching):
            return None
        from rerankit.gallery import Gallery

        problem.scores.both_ways(self.neighbours)
        return Prepared(self, Gallery.of(problem))

    def prepare(self, gallery: Gallery) -> Prepared:
        bank = self.bank_or(gallery.bank)
        relations = gallery.side.scores, None if bank is None else bank.to_gallery
        assert relations[0] is not None, "checked by the stage's needs"
        if relations[1] is None:
            return super().prepare(gallery)
        lists = nearest(relations[0], self.neighbours)[0], nearest(relations[1].T, self.neighbours)[0]
        return ReadyPillar(self, gallery, lists)

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        return ReadyPillar(self, gallery, (state.arrays["gallery"], state.arrays["others"]))

    def rerank_both(self, problem: Problem, k: int | None = 100) -> tuple[Ranking, Ranking]:
        """Both directions of a problem, as (this direction, the other): each relation is scanned only once.

        A direction for which there is a bank looks at nothing of the other, and is re-ranked on its own.
        """
        other, backward = self.reversed(), problem.reversed()
        self.check(problem)
        if self.bank_for(problem) is not None or other.bank_for(backward) is not None:
            return rerank(problem, self, k), rerank(backward, other, k)
        there, back = PillarSpace.both(Relations.of(problem), self.pillars, self.neighbours)
        first, second = problem.ranking(k), backward.ranking(k)
        return self._spliced(there, first), other._spliced(back, second)

    def _spliced(self, space: PillarSpace, ranking: Ranking) -> Ranking:
        head = ranking.top(value_of(self.candidates, self.direction))
        head = self.scored(head, self._score(space, head))
        return splice(head, ranking).with_notes(stages=[repr(self)], looks_at=self.looks_at())

    def _score(self, space: PillarSpace, ranking: Ranking) -> FloatArray:
        from rerankit.stages.pillar.inference import score

        threshold = value_of(self.threshold, self.direction)
        return score(self.network, space, ranking.indices, threshold, precision=self.precision)

    # -- training ----------------------------------------------------------------------------------------

    def training_settings(self) -> TrainingSettings:
        """How this stage is trained by default: as published."""
        return TrainingSettings(30, 512, 0.02, "sgd", momentum=0.9, schedule="cosine", validate_every=200)

    def tasks(
        self, problem: Problem, relevance: Relevance, validation: Judged | None, settings: TrainingSettings
    ) -> Iterator[TrainingPart]:
        """The networks of both directions together, or with `both` off the one of its direction, without the losses
        that need the other. The first figure is the sum of R@1, R@5, R@10 in the trained directions.
        """
        from rerankit.stages.pillar.fitting import PillarTask
        from rerankit.stages.pillar.sides import sides_of

        sides = sides_of(self, problem, relevance)
        held_out = None if validation is None else sides_of(self, *validation, argument="validation[1]")
        network = self.loaded(seeded(settings.seed, self.build), strict=False)
        task = PillarTask(network, sides, LossWeights.of(self.losses), held_out)
        sizes = {name: getattr(self, name) for name in ("candidates", "threshold", "neighbours")}
        task.reads = {"losses": task.weights, **sizes, "training": (problem, relevance), "validation": validation}
        yield "", task, settings

    def take(self, part: str, task: Any) -> None:
        self.set_weights(arrays_of(task.model))

    # -- weights -----------------------------------------------------------------------------------------

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions there are weights for."""
        return tuple(d for d in DIRECTIONS if any(name.startswith(f"model_{d}.") for name in self._weights))

    def set_weights(self, weights: dict[str, AnyArray]) -> None:
        """Take weights named as in the published checkpoints (model_i2t.…, model_t2i.…).

        With `both` off only those of this stage's direction are kept, when there are any.
        """
        wrong = [name for name in weights if not name.startswith(("model_i2t.", "model_t2i."))]
        if wrong:
            raise rule("weights", "must be named model_i2t.… or model_t2i.…", f"{wrong[:3]}")
        own = [name for name in weights if name.startswith(f"model_{self.direction}.")]
        kept = weights if self.both or not own else {name: weights[name] for name in own}
        super().set_weights(dict(kept))

    def build(self, directions: Sequence[Direction] | None = None) -> torch.nn.Module:
        """New networks with this stage's sizes, for some directions: those it trains, when none are named."""
        require("torch", extra=self.extra, purpose=f"stage '{self.name}'")
        from rerankit.stages.pillar.network import PillarNetwork, PillarPair

        if directions is None:
            directions = DIRECTIONS if self.both else (self.direction,)
        sizes = (self.pillars, self.width, self.layers, self.heads)
        rest = {"expansion": self.expansion, "bias": self.bias, "form": self.form}
        return PillarPair({d: PillarNetwork(*sizes, **rest) for d in directions})  # type: ignore[arg-type]

    def _ready(self) -> Any:
        """This direction's network with the weights, on its device."""
        if self.direction not in self.directions:
            raise NotFittedError(f"stage '{self.name}' has no weights for {self.direction}")
        from rerankit.training.devices import pick

        pair = self.loaded(self.build(self.directions))
        network = pair.get_submodule(f"model_{self.direction}").to(pick(self.device)).eval()
        if not self.compile:
            return network
        return require("torch", extra=self.extra, purpose="'compile'").compile(network)


@dataclass(eq=False, repr=False)
class ReadyPillar(Prepared):
    """A reasoner with the nearest items of every item of a gallery."""

    stage: Pillar
    lists: Lists

    keeps = "the nearest items, in gallery and bank, of each item"
    by_item = False

    def state(self) -> State:
        return State({"gallery": self.lists[0], "others": self.lists[1]})

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.reorder(problem, ranking, self.lists)
