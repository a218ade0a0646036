"""Pipeline: an immutable tuple of stages, checked as a whole before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from rerankit.errors import InputError, rule
from rerankit.events import Stopwatch, emit, within
from rerankit.looks import Looks
from rerankit.pipelines.composite import Composite, PreparedComposite
from rerankit.pipelines.prepared import Prepared, State
from rerankit.pipelines.running import check_first, faults_named, owned
from rerankit.pipelines.stage import Stage, stage
from rerankit.pipelines.trainable import Learning
from rerankit.plugins import manager
from rerankit.problem import Problem
from rerankit.ranking import Ranking

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.relevance import Relevance


@dataclass(frozen=True)
class Step:
    """What one stage of a run made."""

    stage: Stage
    ranking: Ranking
    seconds: float
    looks_at: Looks
    """What the answer depended on."""
    text: str
    """The stage as it was, in words."""


class Pipeline(Composite):
    """Stages that run one after the other; `>>` joins stages and pipelines. It is a stage wherever one is taken.

    Each stage re-ranks what the one before it made, S₂(S₁(ranking)); behind one that learned similarities the others
    see these. It loses where its stages do.

    >>> Pipeline(["mutual-rank"]) >> stage("fuse", method="rrf").top(10)
    Pipeline([stage('mutual-rank'), stage('fuse', method='rrf').top(10)])
    >>> stage("fuse", sources=["scores", Pipeline(["nnn", "mutual-rank"])]).looks_at()
    Looks(queries=True)
    """

    name = "pipeline"

    def __init__(self, stages: Iterable[Stage | str]) -> None:
        if isinstance(stages, str | Stage):
            raise InputError(f"'stages' must be a list of stages (got {stages!r})")
        self.stages: tuple[Stage, ...] = tuple(one for given in stages for one in _flat(given))

    @property
    def children(self) -> tuple[Stage, ...]:
        return self.stages

    def steps(self, problem: Problem, ranking: Ranking) -> Iterator[Step]:
        """Run stage after stage and hand out what each made."""
        self.check(problem)
        check_first(problem, ranking)
        return self._steps(self.stages, problem, ranking)

    def _steps(self, runners: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Iterator[Step]:
        known = uuid4().hex if manager().observed else ""
        run, done, first = {"run": known, "pipeline": self, "stage": None}, list[Step](), ranking
        texts = [one.text if isinstance(one, Prepared) else repr(one) for one in runners]
        own = _joined(texts)
        emit("run_started", own, inside=run, total=len(self.stages))
        try:
            for position, (one, runner) in enumerate(zip(self.stages, runners, strict=True)):
                with within(**{**run, "stage": one}):
                    done.append(self._step(position, texts[position], runner, problem, ranking))
                ranking = done[-1].ranking
                yield done[-1]
                if position + 1 < len(self.stages):
                    problem = one.passes_on(problem)
        except GeneratorExit:  # whoever asked for steps wants no more of them
            raise
        except BaseException as cause:
            emit("run_failed", f"{type(cause).__name__}: {cause}", inside=run, seconds=_seconds(done))
            raise
        if manager().has_observers("run_finished"):
            emit("run_finished", own, inside=run, seconds=_seconds(done), ranking=_noted(first, done))

    def _step(self, position: int, text: str, runner: Stage | Prepared, problem: Problem, ranking: Ranking) -> Step:
        emit("stage_started", text, position=position, total=len(self.stages))
        watch = Stopwatch()
        result = runner.rerank(problem, ranking)
        seconds = watch.seconds + (runner.begun if isinstance(runner, Prepared) else 0.0)
        emit("stage_finished", text, position=position, seconds=seconds, ranking=result)
        return Step(self.stages[position], result, seconds, runner.looks_at(problem), text)

    def joined(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Ranking:
        """Stage after stage; the ranking's notes say what was done."""
        return _noted(ranking, list(self._steps(children, problem, ranking)))

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Stages that lack weights are fitted one after the other (all that can be, where none lacks any): each sees
        what those before it pass on and, where it learns from candidates, the order in which they leave them.
        """
        learners, seen, held = self.learners, problem, how.validation
        if not learners:
            super().learn(problem, relevance, how)
        for place, one in enumerate(self.stages):
            name = f"{place:02d}-{one.name}"
            if name in learners:
                own = replace(how, validation=held)
                if place and "ranking" in learners[name].takes:
                    own = replace(own, ranking=self._left_by(place, problem, relevance, how.ranking))
                learners[name].fit(seen, relevance, **own.of(learners[name], name))
            if place + 1 < len(self.stages):
                seen = one.passes_on(seen)
                held = None if held is None else (one.passes_on(held[0]), held[1])

    def _left_by(self, place: int, problem: Problem, relevance: Relevance, ranking: Ranking | None) -> Ranking:
        """The candidates that a stage learns from, as the stages before it leave them."""
        if ranking is None:
            ranking = problem.excluding(relevance.excluded).ranking(getattr(self.stages[place], "candidates", None))
        return Pipeline(self.stages[:place]).rerank(problem, ranking)

    def passes_on(self, problem: Problem) -> Problem:
        for one in self.stages:
            problem = one.passes_on(problem)
        return problem

    @property
    def passes_on_as_given(self) -> bool:
        return all(one.passes_on_as_given for one in self.stages)

    def started(self, problem: Problem) -> Prepared | None:
        from rerankit.gallery import Gallery

        if not self.stages:
            return None
        first, *rest = self.stages
        watch = Stopwatch()
        with faults_named(first, lambda: f"{owned(first)}, given {problem!r}"):
            started = first.started(problem)
        if started is not None:
            started.begun = watch.seconds
        gallery = Gallery.of(problem)
        parts = (Prepared(one, gallery) for one in rest)
        return None if started is None else PreparedComposite(self, gallery, [started, *parts])

    def prepare(self, gallery: Gallery) -> Prepared:
        parts = zip(self.stages, self._seen_as_given(), strict=True)
        return PreparedComposite(
            self, gallery, [one.prepare(gallery) if given else Prepared(one, gallery) for one, given in parts]
        )

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        parts = zip(self.stages, self._seen_as_given(), state.children, strict=True)
        return PreparedComposite(
            self,
            gallery,
            [one.restored(gallery, kept) if given else Prepared(one, gallery) for one, given, kept in parts],
        )

    def _seen_as_given(self) -> list[bool]:
        """Which stages see the problem's similarities as they are: those behind one that knows better ones do not, and
        have nothing to prepare.
        """
        return [all(one.passes_on_as_given for one in self.stages[:place]) for place in range(len(self.stages))]

    def get_params(self) -> dict[str, Any]:
        """The constructor argument: the stages, joined into one tuple."""
        return {"stages": self.stages}

    def clone(self, stages: Iterable[Stage | str] | None = None) -> Pipeline:  # type: ignore[override]
        """A new pipeline of clones of the stages with their weights, or of other `stages`."""
        return Pipeline([one.clone() for one in self.stages] if stages is None else stages)

    def to_yaml(self) -> str:
        """The pipeline as YAML text."""
        from rerankit.pipelines.yaml_files import to_yaml

        return to_yaml(self)

    @classmethod
    def from_yaml(cls, source: Any, *, trust: bool = False) -> Pipeline:
        """A pipeline from YAML text or from a file's path (`trust`: of what its `load:` names, see `rerankit.load`)."""
        from rerankit.pipelines.yaml_files import from_yaml

        return from_yaml(source, trust=trust)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    def __len__(self) -> int:
        return len(self.stages)

    def __eq__(self, other: object) -> bool:
        return self.stages == other.stages if isinstance(other, Pipeline) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.stages)

    def __repr__(self) -> str:
        return _joined(map(repr, self.stages))


def _joined(stages: Iterable[str]) -> str:
    return f"Pipeline([{', '.join(stages)}])"


def _noted(first: Ranking, steps: Sequence[Step]) -> Ranking:
    """What came of a run, with notes that say what was done."""
    return (steps[-1].ranking if steps else first).with_notes(
        stages=[step.text for step in steps],
        seconds=[step.seconds for step in steps],
        looks_at=Looks.union(step.looks_at for step in steps),
    )


def _seconds(steps: Sequence[Step]) -> float:
    return sum(step.seconds for step in steps)


def as_pipeline(how: Any, params: Mapping[str, Any]) -> Pipeline:
    """A stage's name with its parameters, a stage or a pipeline, as a pipeline."""
    if not isinstance(how, (str, Stage)):
        several = isinstance(how, (list, tuple))
        text = "joined: rerankit.Pipeline([…])" if several else "a stage's name, a stage or a pipeline"
        raise rule("how", f"must be {text}", how)
    if params and not isinstance(how, str):
        raise InputError(f"parameters go with a stage's name (got {sorted(params)} with {how!r})")
    return Pipeline([stage(how, **params) if isinstance(how, str) else how])


def _flat(given: Any) -> tuple[Stage, ...]:
    made = stage(given) if isinstance(given, str) else given
    if isinstance(made, Pipeline):
        return made.stages
    if not isinstance(made, Stage):
        raise rule("stages", "must hold stages, names or pipelines", given)
    return (made,)
