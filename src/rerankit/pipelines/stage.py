"""Stage: one re-ranking step with parameters, what it needs and what it looks at."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, float32, unmasked
from rerankit.errors import InputError, NotFittedError, brief, rule
from rerankit.looks import Looks
from rerankit.pipelines.needs import BANKS, Need, Unmet
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.running import check_needs, run
from rerankit.pipelines.scaling import Scaling
from rerankit.plugins import manager
from rerankit.ranking import Ranking
from rerankit.values import same

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.pipelines.pipeline import Pipeline
    from rerankit.pipelines.top import Top
    from rerankit.problem import Problem

S = TypeVar("S", bound="Stage")


class Stage:
    """Base class of every re-ranker. A subclass names itself, stores its constructor arguments under their own
    names, says what it needs and looks at, and implements `rescore` (new scores for the candidates) or `reorder` (a new
    ranking of them).

    >>> import numpy as np
    >>> class Reverse(Stage):
    ...     name = "reverse"
    ...     def rescore(self, problem, ranking):
    ...         return -ranking.scores
    >>> from rerankit import Problem
    >>> problem = Problem([[0.1, 0.9]])
    >>> Reverse().rerank(problem, problem.ranking()).indices
    array([[0, 1]])
    """

    name: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    outside: ClassVar[tuple[str, ...]] = ()
    """Parameters that name a model or a service: a saved stage that names one outside of its folder needs `trust`."""
    writes: ClassVar[tuple[str, ...]] = ()
    """Parameters that name a file or folder that is written to when the stage runs, which needs `trust`, too."""
    scaling: ClassVar[Scaling | None] = None
    """What it costs where galleries are large and queries come in shards; None: it is not stated."""
    bitwise: ClassVar[bool] = True
    """Whether a query's answer is the same to the bit in any batch; that of a network may round with the batch."""

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        who = f"stage class {cls.__name__}"
        if "rerank" in vars(cls):
            raise InputError(f"{who} must implement 'reorder' or 'rescore': 'rerank' checks and runs it")
        if inspect.isfunction(vars(cls).get("needs")):
            raise InputError(f"'needs' of {who} must be a property, or a tuple of texts (got a method)")
        if "fit" in vars(cls) and cls.__module__ != "rerankit.pipelines.trainable":
            raise InputError(f"{who} must be Trainable and implement 'learn', which 'fit' runs")

    @property
    def needs(self) -> tuple[str, ...]:
        """What the problem or the stage must have, in the words of `rerankit.pipelines.needs`."""
        return ()

    def needs_on(self, problem: Problem) -> tuple[str, ...]:
        """What it needs of this problem; stages whose needs depend on what the problem has override it."""
        return self.needs

    def unmet(self, problem: Problem) -> list[Unmet]:
        """The needs that the problem does not meet; as texts they say how to meet them."""
        if not self.name:
            raise InputError(f"stage class {type(self).__name__} must have a 'name'")
        needs: object = self.needs_on(problem)
        if isinstance(needs, str):  # it would be read letter by letter
            raise InputError(f"'needs' of stage '{self.name}' must be a tuple of texts (got the text {needs!r})")
        found = [Need.of(text) for text in needs]  # type: ignore[attr-defined]  # what a plugin gave
        return [Unmet(self, need) for need in found if not need.is_met(problem, self)]

    def check(self, problem: Problem, *, weights: bool = True) -> None:
        """Raise one error that lists all needs the problem does not meet; for `fit`, those for weights do not count."""
        check_needs(self, problem, weights)

    def looks_at(self, problem: Problem | None = None) -> Looks:
        """What an answer on this problem (None: one without a bank) depends on beyond a query and its candidates.

        By default a bank where one is needed, and labels where there are weights; stages that look at anything else
        override it.
        """
        return Looks(bank=any(Need.of(need).kind in BANKS for need in self.needs), labels=self.fitted)

    @final
    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The same candidates of every query in a new order; needs, candidates and answer are checked."""
        return run(self, self, problem, ranking)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The same candidates of every query in a new order: what `rerank` checks and runs."""
        return self.scored(ranking, self.rescore(problem, ranking))

    def rescore(self, problem: Problem, ranking: Ranking) -> AnyArray:
        """New scores (queries, K) for the candidates `ranking.indices`; scores at padding are ignored."""
        raise NotImplementedError(f"{type(self).__name__} implements neither 'rescore' nor 'reorder'")

    def scored(self, ranking: Ranking, scores: Any) -> Ranking:
        """The candidates under new scores (queries, K); scores at padding are ignored."""
        values = unmasked(scores)
        if values.shape != ranking.shape or values.dtype.kind not in "fiu":
            found = f"{values.dtype} of shape {values.shape}"
            raise InputError(f"stage '{self.name}' must return numbers of shape {ranking.shape} (got {found})")
        there = values if values.dtype.kind == "f" else np.where(ranking.mask, values, 0)
        return ranking.with_scores(float32(there, f"scores of stage {self.name}"))

    def started(self, problem: Problem) -> Prepared | None:
        """The part of the work that needs no candidates, done on `problem.searching(k)`; what it returns answers the
        problem. None where there is no such part.

        Stages that go over all scores before they look at candidates override it: the same pass then finds these.
        `rerankit.rerank` calls it on the first stage of a pipeline.
        """
        return None

    def prepare(self, gallery: Gallery) -> Prepared:
        """What answers queries of a gallery, each as if it were alone (`rerankit.prepare` checks needs and runs this).

        Stages that have work to do once for a gallery and its bank override it; `rerank` then uses the same methods.
        """
        return Prepared(self, gallery)

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        """What `prepare` returned, from the state that it wrote."""
        return self.prepare(gallery)

    @property
    def children(self) -> tuple[Stage, ...]:
        """The stages this one runs."""
        return ()

    def completed(self, problem: Problem) -> Problem:
        """The problem with what this stage finds for it by its parameters, such as pictures that lie in a folder."""
        return problem

    def passes_on(self, problem: Problem) -> Problem:
        """The problem that the stages behind this one see in a pipeline: the same, unless this stage knows better
        similarities.
        """
        return problem

    @property
    def passes_on_as_given(self) -> bool:
        """Whether `passes_on` gives every problem back as it is."""
        return type(self).passes_on is Stage.passes_on

    def reversed(self: S) -> S:
        """The stage for `problem.reversed()`, with the same weights: this one, unless it, or a stage among its
        parameters, takes the two sides for different things (pictures and their captions, say).

        >>> stage("consensus", voters="gallery").reversed()
        stage('consensus', voters='query')
        """
        params = self.get_params()
        changed = {name: _reversed(value) for name, value in params.items()}
        changes = {name: value for name, value in changed.items() if value is not params[name]}
        return self.clone(**changes) if changes else self

    def top(self, k: int) -> Top:
        """This stage for the first k candidates only; the rest keep their order behind them."""
        from rerankit.pipelines.top import Top

        return Top(self, checks.integer("k", k, least=1))

    def __rshift__(self, other: Stage | str) -> Pipeline:
        from rerankit.pipelines.pipeline import Pipeline

        return Pipeline([self, other])

    # -- parameters ------------------------------------------------------------------------------------------

    @classmethod
    def parameters(cls) -> dict[str, inspect.Parameter]:
        """The constructor's parameters by name."""
        return dict(_parameters_of(cls))  # type: ignore[arg-type]  # the hash of stages is not that of their class

    def get_params(self) -> dict[str, Any]:
        """The constructor arguments as given."""
        names = list(self.parameters())
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            text = f"{type(self).__name__}.__init__ must store its parameters under their own names"
            raise InputError(f"{text} (got no self.{', self.'.join(missing)})")
        return {name: getattr(self, name) for name in names}

    def clone(self: S, **changes: Any) -> S:
        """A new stage with the same parameters but for `changes`, and the same weights."""
        known = self.parameters()
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise InputError(f"stage '{self.name}' has no parameter {', '.join(unknown)} (it has {', '.join(known)})")
        copy = type(self)(**{**self.get_params(), **changes})
        weights = self.get_weights()
        if weights:
            copy.set_weights(weights)
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stage) or type(self) is not type(other):
            return NotImplemented
        return same(self.get_params(), other.get_params()) and same(self.get_weights(), other.get_weights())

    def __hash__(self) -> int:
        return hash((type(self), tuple(sorted(self.get_params()))))

    def __repr__(self) -> str:
        shown = [
            f"{name}={brief(value)}"
            for name, value in self.get_params().items()
            if not same(value, self.parameters()[name].default)
        ]
        return f"stage({', '.join([repr(self.name or type(self).__name__), *shown])})"

    # -- weights (trainable stages) --------------------------------------------------------------------------

    def get_weights(self) -> dict[str, AnyArray]:
        """Fitted arrays by name; empty for a stage without weights and before `fit`."""
        return {}

    def set_weights(self, weights: dict[str, AnyArray]) -> None:
        """Take fitted arrays back."""
        raise NotFittedError(f"stage '{self.name}' has no weights to set")

    @property
    def fitted(self) -> bool:
        """Whether there are weights."""
        return bool(self.get_weights())

    def save(self, folder: Any, *, overwrite: bool = False) -> None:
        """Write config.json and, when there are weights, weights.safetensors; all or nothing.

        With `overwrite` a folder that is there is replaced, if rerankit wrote every file in it.
        """
        from rerankit.pipelines.storage import save

        save(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls: type[S], folder: Any, *, trust: bool = False) -> S:
        """The stage a folder holds, which must be of this class (`trust`: see `rerankit.load`)."""
        from rerankit.pipelines.storage import load

        loaded = load(folder, trust=trust)
        if not isinstance(loaded, cls):
            raise InputError(f"'{folder}' holds {loaded!r}, not a {cls.__name__}")
        return loaded


def stage(name: str, **params: Any) -> Stage:
    """A registered stage by name.

    >>> stage("mutual-rank", weight=0.5)
    stage('mutual-rank', weight=0.5)
    """
    if not isinstance(name, str):
        raise rule("name", "must be a text", name)
    entry = manager().stages.entry(name)
    entry.check_parameters(params)
    made: Stage = entry.make(**params)
    return made


def stages_available() -> list[str]:
    """Names of all registered stages, sorted."""
    return list(manager().stages)


@lru_cache(maxsize=1024)
def _parameters_of(cls: type[Stage]) -> dict[str, inspect.Parameter]:
    found = dict(inspect.signature(cls).parameters)
    wild = [p.name for p in found.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    if wild:
        raise InputError(f"{cls.__name__}.__init__ must name its parameters (got {', '.join(wild)})")
    return found


def _reversed(value: Any) -> Any:
    """A parameter for the reversed problem: stages in it are reversed, and it is the same object when none changes."""
    if isinstance(value, Stage):
        return value.reversed()
    if not isinstance(value, list | tuple):
        return value
    changed = [_reversed(item) for item in value]
    unchanged = all(new is old for new, old in zip(changed, value, strict=True))
    return value if unchanged else type(value)(changed)
