"""The one way a stage runs, wherever it stands: what it needs, its candidates and its answer are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rerankit.errors import MissingExtraError, NotFiniteError, RerankitError, StageError, UnmetNeedError, rule
from rerankit.events import Stopwatch, emit, within
from rerankit.extras import explained
from rerankit.ids import same_ids
from rerankit.padded import check_left_out, same_items
from rerankit.pipelines.needs import OTHER_QUERIES, WEIGHTS
from rerankit.plugins import manager
from rerankit.problem import Problem
from rerankit.ranking import Ranking

if TYPE_CHECKING:
    from rerankit.pipelines.stage import Stage


Fit = TypeVar("Fit", bound=Callable[..., Any])


class Runner(Protocol):
    """What gives the candidates a new order: a stage, or what it has prepared of a gallery."""

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The same candidates of every query in a new order."""


_checked: ContextVar[tuple[Problem | None, tuple[Stage, ...]]] = ContextVar("checked", default=(None, ()))
"""A problem that a composite runs on, and the stages inside it, whose needs were checked with its own."""


def run(stage: Stage, runner: Runner, problem: Problem, ranking: Ranking) -> Ranking:
    """The answer of a stage, given by `runner`; a fault says whose it is."""
    checked, inside = _checked.get()
    if checked is not problem or not any(one is stage for one in inside):
        check_needs(stage, problem)
    if not stage.children:
        return _run(stage, runner, problem, ranking)
    token = _checked.set((problem, stage.children))
    try:
        return _run(stage, runner, problem, ranking)
    finally:
        _checked.reset(token)


def _run(stage: Stage, runner: Runner, problem: Problem, ranking: Ranking) -> Ranking:
    check_first(problem, ranking)
    if not stage.children and not ranking.mask.any():  # no query has a candidate: there is one order only
        return ranking
    with faults_named(stage, lambda: _where(stage, problem, ranking)):
        result = runner.reorder(problem, ranking)
    if stage.children and _is_ours(stage):  # which puts answers together that were checked
        return result
    fault = _fault(result, ranking)
    if fault:
        raise StageError(f"{_where(stage, problem, ranking)}, {fault}")
    return result


@contextmanager
def faults_named(stage: Stage, where: Callable[[], str]) -> Iterator[None]:
    """A block in which a stage's own code runs: what it raises says whose fault it is."""
    try:
        yield
    except (UnmetNeedError, MissingExtraError, StageError):
        raise
    except (Exception, SystemExit) as cause:
        # What a stage of rerankit raises on purpose already says what is wrong with the input; from anybody else's
        # stage it may as well be that stage's own fault, so it is named.
        if isinstance(cause, RerankitError) and _is_ours(stage) and not isinstance(cause, NotFiniteError):
            raise
        missing = explained(cause, f"stage '{stage.name}'") if isinstance(cause, ImportError) else None
        raise missing or StageError(f"{where()}, failed: {type(cause).__name__}: {cause}") from cause


def observed(fit: Fit) -> Fit:
    """A stage's `fit` that says when it starts and ends."""

    @wraps(fit)
    def fitting(stage: Stage, *given: Any, **named: Any) -> Any:
        with within(stage=stage):
            emit("fit_started", repr(stage))
            watch = Stopwatch()
            try:
                result = fit(stage, *given, **named)
            except BaseException as cause:
                emit("fit_failed", f"{type(cause).__name__}: {cause}", seconds=watch.seconds)
                raise
            emit("fit_finished", repr(stage), seconds=watch.seconds)
            return result

    return fitting  # type: ignore[return-value]  # the same arguments and the same answer


def check_needs(stage: Stage, problem: Problem, weights: bool = True) -> None:
    """Raise with all needs that are not met in one message, those for weights with the others or not."""
    faults = [fault for fault in stage.unmet(problem) if weights or fault.need.kind != WEIGHTS]
    if faults:
        raise UnmetNeedError("\n".join(map(str, faults)))


def refuses_alone(stage: Stage, problem: Problem) -> bool:
    """Whether all that a problem of one query lacks is other queries to compare it with."""
    faults = stage.unmet(problem)
    return bool(faults) and all(fault.need.kind == OTHER_QUERIES for fault in faults)


def check_first(problem: Problem, ranking: Ranking) -> None:
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


def _is_ours(stage: Stage) -> bool:
    return type(stage).__module__.partition(".")[0] == "rerankit"


def owned(stage: Stage) -> str:
    """A stage and whose it is, in words."""
    return f"{stage!r} of {manager().owner(stage.name)}"


def _where(stage: Stage, problem: Problem, ranking: Ranking) -> str:
    return f"{owned(stage)}, given {problem!r} and a ranking of shape {ranking.shape}"


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
