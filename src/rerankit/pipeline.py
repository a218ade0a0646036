"""Pipeline: an immutable tuple of stages, checked as a whole before anything runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rerankit import bars
from rerankit.errors import InputError, MissingExtraError, RerankitError, StageError, UnmetNeedError, rule
from rerankit.events import Event, emit
from rerankit.extras import explained
from rerankit.ids import same_ids
from rerankit.looks import Looks
from rerankit.padded import check_left_out, same_items
from rerankit.plugins import manager
from rerankit.prepared import Prepared
from rerankit.problem import Problem, as_problem
from rerankit.ranking import Ranking
from rerankit.stages.base import Stage, stage


@dataclass(frozen=True)
class Step:
    """What one stage of a run made."""

    stage: Stage
    ranking: Ranking
    seconds: float
    looks_at: Looks
    """What the answer depended on."""


class Pipeline:
    """Stages that run one after the other; `>>` joins stages and pipelines.

    >>> Pipeline(["mutual-rank"]) >> stage("fuse", method="rrf").top(10)
    Pipeline([stage('mutual-rank'), stage('fuse', method='rrf').top(10)])
    """

    def __init__(self, stages: Iterable[Stage | str | Pipeline]) -> None:
        if isinstance(stages, str | Stage):
            raise InputError(f"'stages' must be a list of stages (got {stages!r})")
        self.stages: tuple[Stage, ...] = tuple(one for given in stages for one in _flat(given))

    def __rshift__(self, other: Stage | str | Pipeline) -> Pipeline:
        return Pipeline([*self.stages, other])

    def unmet(self, problem: Problem) -> list[str]:
        """Every need of every stage that the problem does not meet."""
        return [line for one in self.stages for line in one.unmet(problem)]

    def check(self, problem: Problem) -> None:
        """Raise with all faults in one message."""
        faults = self.unmet(problem)
        if faults:
            raise UnmetNeedError("\n".join(faults))

    def looks_at(self, problem: Problem | None = None) -> Looks:
        """What an answer on this problem (None: one without a bank) depends on beyond a query and its candidates."""
        return Looks.union(one.looks_at(problem) for one in self.stages)

    def steps(self, problem: Problem, ranking: Ranking) -> Iterator[Step]:
        """Run stage after stage and hand out what each made."""
        self.check(problem)
        _check_first(problem, ranking)
        return self._steps(problem, ranking)

    def _steps(self, problem: Problem, ranking: Ranking, prepared: Sequence[Prepared] | None = None) -> Iterator[Step]:
        runners: Sequence[Stage | Prepared] = self.stages if prepared is None else prepared
        for position, (one, runner) in enumerate(zip(self.stages, runners, strict=True)):
            emit(Event("stage_started", repr(one), position=position, total=len(self.stages)))
            start = time.perf_counter()
            result = _run(one, runner, problem, ranking)
            seconds = time.perf_counter() - start
            emit(Event("stage_finished", repr(one), position=position, seconds=seconds, ranking=result))
            ranking = result
            yield Step(one, result, seconds, one.looks_at(problem))
            if position + 1 < len(self.stages):
                problem = one.passes_on(problem)

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        """Run all stages on a first ranking; its notes say what was done."""
        self.check(problem)
        return self.run(problem, ranking)

    def run(self, problem: Problem, ranking: Ranking, prepared: Sequence[Prepared] | None = None) -> Ranking:
        """The same for a problem whose needs have been checked; with `prepared` these answer for their stages."""
        _check_first(problem, ranking)
        emit(Event("run_started", repr(self), total=len(self.stages)))
        start = time.perf_counter()
        try:
            steps = list(self._steps(problem, ranking, prepared))
        except BaseException as cause:
            failed = f"{type(cause).__name__}: {cause}"
            emit(Event("run_failed", failed, seconds=time.perf_counter() - start))
            raise
        result = (steps[-1].ranking if steps else ranking).with_notes(
            stages=[repr(step.stage) for step in steps],
            seconds=[step.seconds for step in steps],
            looks_at=Looks.union(step.looks_at for step in steps),
        )
        emit(Event("run_finished", repr(self), seconds=time.perf_counter() - start, ranking=result))
        return result

    def get_params(self) -> dict[str, Any]:
        """The constructor argument: the stages, joined into one tuple."""
        return {"stages": self.stages}

    def clone(self, stages: Iterable[Stage | str | Pipeline] | None = None) -> Pipeline:
        """A new pipeline of clones of the stages with their weights, or of other `stages`."""
        return Pipeline([one.clone() for one in self.stages] if stages is None else stages)

    def reversed(self) -> Pipeline:
        """The pipeline for `problem.reversed()`: every stage turned around.

        >>> Pipeline([stage("mutual-rank"), stage("consensus", voters="gallery")]).reversed()
        Pipeline([stage('mutual-rank'), stage('consensus', voters='query')])
        """
        return Pipeline([one.reversed() for one in self.stages])

    def to_yaml(self) -> str:
        """The pipeline as YAML text."""
        from rerankit.yaml_files import to_yaml

        return to_yaml(self)

    @classmethod
    def from_yaml(cls, source: Any, *, trust: bool = False) -> Pipeline:
        """A pipeline from YAML text or from a file's path (`trust`: of what its `load:` names, see `rerankit.load`)."""
        from rerankit.yaml_files import from_yaml

        return from_yaml(source, trust=trust)

    def save(self, folder: Any, *, overwrite: bool = False) -> None:
        """Write every stage with its weights into one folder; all or nothing (see `Stage.save`)."""
        from rerankit.storage import save

        save(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: Any, *, trust: bool = False) -> Pipeline:
        """The pipeline a folder holds (`trust`: see `rerankit.load`)."""
        from rerankit.storage import load

        loaded = load(folder, trust=trust)
        if not isinstance(loaded, Pipeline):
            raise InputError(f"'{folder}' holds {loaded!r}, not a Pipeline")
        return loaded

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    def __len__(self) -> int:
        return len(self.stages)

    def __eq__(self, other: object) -> bool:
        return self.stages == other.stages if isinstance(other, Pipeline) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.stages)

    def __repr__(self) -> str:
        return f"Pipeline([{', '.join(map(repr, self.stages))}])"


def rerank(
    problem: Any,
    how: str | Stage | Pipeline,
    k: int | None = 100,
    *,
    progress: bool = False,
    engine: Any = None,
    out: Any = None,
    resume: bool = False,
    shard_size: int | None = None,
    **params: Any,
) -> Ranking:
    """Re-rank the first k candidates of every query (None: the whole gallery).

    `problem` is a `Problem` or anything that is a matrix of scores (queries, gallery), higher is better; `how` a
    stage's name with its parameters, a stage, or a pipeline. With `progress`, bars on stderr say how far it is.

    With an `engine` ("local", "ray", a `rerankit.engines.Engine`) or a folder `out`, blocks of `shard_size` queries are
    re-ranked by themselves, each of which becomes a file of `out`; `resume` goes on with a run that was stopped
    (docs/scale.md).

    >>> rerank([[0.9, 0.8], [0.7, 0.1]], "mutual-rank", k=2).indices
    array([[0, 1],
           [0, 1]])
    """
    pipeline = as_pipeline(how, params)
    given = as_problem(problem)
    pipeline.check(given)
    with bars.progress(progress):
        if engine is not None or out is not None:
            from rerankit.runs import rerank_in_shards

            return rerank_in_shards(given, pipeline, k, engine=engine, out=out, resume=resume, shard_size=shard_size)
        if resume or shard_size is not None:
            raise InputError("'resume' and 'shard_size' belong to a run in shards: give 'out' or 'engine', too")
        return pipeline.run(given, given.ranking(k))


def as_pipeline(how: Any, params: Mapping[str, Any]) -> Pipeline:
    """A stage's name with its parameters, a stage or a pipeline, as a pipeline."""
    _check_how(how)
    if params and not isinstance(how, str):
        raise InputError(f"parameters go with a stage's name (got {sorted(params)} beside {how!r})")
    return Pipeline([stage(how, **params) if isinstance(how, str) else how])


def _check_how(how: Any) -> None:
    if not isinstance(how, (str, Stage, Pipeline)):
        several = isinstance(how, (list, tuple))
        text = "joined: rerankit.Pipeline([…])" if several else "a stage's name, a stage or a pipeline"
        raise rule("how", f"must be {text}", how)


def _flat(given: Stage | str | Pipeline) -> tuple[Stage, ...]:
    if isinstance(given, Pipeline):
        return given.stages
    made = stage(given) if isinstance(given, str) else given
    if not isinstance(made, Stage):
        raise rule("stages", "must hold stages, names or pipelines", given)
    return (made,)


def _check_first(problem: Problem, ranking: Ranking) -> None:
    """Refuse a first ranking that does not belong to the problem."""
    size = len(ranking), ranking.gallery_size
    if size != problem.shape:
        raise rule("ranking", f"must be of the problem's {problem.shape} queries and items", f"{size}")
    if ranking.excluded is not problem.excluded:
        check_left_out(ranking.indices, problem.excluded)
    for name in ("query_ids", "gallery_ids"):
        theirs, ours = getattr(ranking, name), getattr(problem, name)
        if theirs is not None and ours is not None and theirs != ours:
            raise rule(
                "ranking", f"must have the problem's {name}", f"{theirs[:3].tolist()}…, not {ours[:3].tolist()}…"
            )


def _run(one: Stage, runner: Stage | Prepared, problem: Problem, ranking: Ranking) -> Ranking:
    try:
        result = runner.rerank(problem, ranking)
    except (UnmetNeedError, MissingExtraError, StageError):
        raise
    except Exception as cause:
        # What a built-in stage raises on purpose already says what is wrong with the input; from anybody else's
        # stage it may as well be that stage's own fault, so it is named.
        if isinstance(cause, RerankitError) and manager().is_builtin(one.name):
            raise
        told = explained(cause, f"stage '{one.name}'") if isinstance(cause, ImportError) else None
        where = _where(one, problem, ranking)
        raise told or StageError(f"{where}, failed: {type(cause).__name__}: {cause}") from cause
    fault = _fault(result, ranking)
    if fault:
        raise StageError(f"{_where(one, problem, ranking)}, {fault}")
    return result


def _where(one: Stage, problem: Problem, ranking: Ranking) -> str:
    return f"{one!r} of {manager().owner(one.name)}, given {problem!r} and a ranking of shape {ranking.shape}"


def _fault(result: Any, ranking: Ranking) -> str:
    """What is wrong with a stage's answer; nothing when all is well."""
    if not isinstance(result, Ranking):
        return f"must return a Ranking (got {type(result).__name__})"
    if not same_items(result.indices, ranking.indices):
        return f"must return every candidate it was given once (got a ranking of {result.shape})"
    if result.gallery_size != ranking.gallery_size or not (
        same_ids(result.query_ids, ranking.query_ids) and same_ids(result.gallery_ids, ranking.gallery_ids)
    ):
        return "must keep the ranking's ids and gallery size: use ranking.with_scores(…)"
    return ""
