"""All checks, and the one call that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rerankit import checks
from rerankit.errors import rule
from rerankit.pipelines.stage import Stage
from rerankit.testing import answers, identity, looks, many, process, scales, sharing, standing
from rerankit.testing.problems import ProblemMaker, make_problem
from rerankit.testing.run import CheckFailed, StageFactory, failing

__all__ = ["STAGE_CHECKS", "CheckFailed", "StageCase", "check_stage"]


@dataclass(frozen=True)
class StageCase:
    """A stage with the problems it is checked on, and the checks that do not hold for it with the reason."""

    factory: StageFactory
    problem: ProblemMaker = make_problem
    skip: Mapping[str, str] = field(default_factory=dict)


class StageCheck(Protocol):
    """One check; raises `CheckFailed`."""

    __name__: str

    def __call__(self, factory: StageFactory, problem: ProblemMaker = make_problem) -> None: ...


STAGE_CHECKS: tuple[StageCheck, ...] = (
    answers.check_shapes,
    answers.check_ties,
    answers.check_forms,
    answers.check_lists,
    answers.check_permutations,
    answers.check_blocks,
    many.check_many_queries,
    scales.check_scale,
    answers.check_deterministic,
    answers.check_inputs,
    process.check_process,
    answers.check_relevance,
    looks.check_looks,
    answers.check_needs,
    standing.check_lone,
    standing.check_ready,
    standing.check_updates,
    standing.check_shards,
    identity.check_params,
    identity.check_save,
    identity.check_pickle,
    sharing.check_threads,
)
"""Every check, for `pytest.mark.parametrize`."""


def check_stage(
    factory: StageFactory, problem: ProblemMaker = make_problem, *, skip: Mapping[str, str] | None = None
) -> None:
    """Run every check on the stages that `factory` makes; one error tells all that failed.

    `skip` maps names of checks to the reason why they do not hold for this stage.
    """
    names = [check.__name__ for check in STAGE_CHECKS]
    for name in skip or {}:
        checks.choice("check", name, names)
    _check_factory(factory)
    failures = []
    for check in STAGE_CHECKS:
        if check.__name__ in (skip or {}):
            continue
        try:
            check(factory, problem)
        except CheckFailed as failure:
            failures.append(f"{check.__name__}: {failure}")
    if failures:
        raise CheckFailed("\n".join([f"{len(failures)} of {len(names)} checks failed", *failures]))


def _check_factory(factory: object) -> None:
    """Refuse what cannot make stages before the checks stumble over it one by one."""
    wanted = "must be a stage's class, or a function without arguments that makes one"
    if isinstance(factory, Stage) or not callable(factory):
        raise rule("factory", wanted, factory)
    with failing("'factory' makes no stage"):
        made = factory()
    if not isinstance(made, Stage):
        raise rule("factory", wanted, factory)
