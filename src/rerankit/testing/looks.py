"""Checks that a stage's answers depend on what it says that it looks at, and on nothing else."""

from __future__ import annotations

import numpy as np

from rerankit.bank import Bank
from rerankit.looks import Looks
from rerankit.pipelines.composite import Composite
from rerankit.pipelines.stage import Stage
from rerankit.pipelines.trainable import Trainable
from rerankit.problem import Problem
from rerankit.testing.problems import ProblemMaker, make_problem, with_banks
from rerankit.testing.run import StageFactory, close, expect, run

_QUERIES, _GALLERY, _K = 16, 14, 6
_SOME = np.arange(5)
_SEEDS = range(4)


def check_looks(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """What `looks_at` says is so: `queries` exactly when other test queries change an answer, `bank` exactly when
    another bank does, `labels` where there are weights that `fit` learns from them.
    """
    _check_labels(factory(), problem(_QUERIES, _GALLERY, _SEEDS[0]))
    for banks in (False, True):
        _check_queries(factory, problem, banks)
    _check_bank(factory, problem)


def _check_labels(stage: Stage, made: Problem) -> None:
    declared = _declared(stage, made)
    fits = isinstance(stage, Trainable) and (bool(stage.takes) or not isinstance(stage, Composite))
    if stage.get_weights() and fits:
        expect(declared.labels, "it has weights, and its 'fit' takes labels: looks_at must say labels")
    if declared.labels:
        known = fits or bool(stage.get_weights()) or any(child.looks_at(made).labels for child in stage.children)
        expect(known, "looks_at says labels, but it has neither weights nor a 'fit' that takes labels")


def _check_queries(factory: StageFactory, problem: ProblemMaker, banks: bool) -> None:
    where = "with banks" if banks else "without banks"
    changed, declared = False, False
    for seed in _SEEDS:
        made = problem(_QUERIES, _GALLERY, 20 + seed)
        made = with_banks(made, seed) if banks else made
        stage = factory()
        declared = _declared(stage, made).queries
        if made.query_bank is None and made.gallery_bank is None:
            plain = stage.looks_at()
            expect(
                plain == _declared(stage, made),
                f"looks_at() is {plain!r}, but of a problem without banks it is {_declared(stage, made)!r}",
            )
        if declared and changed:
            continue  # one answer that changed is enough
        alone = run(factory(), made.subset(queries=_SOME), _K, f"some of the queries, {where}")
        together = run(factory(), made, _K, where).take(_SOME)
        changed = not close(alone, together) or changed
    if declared:
        expect(changed, f"{where}, looks_at says queries, but other queries never changed an answer")
    else:
        expect(not changed, f"{where}, looks_at does not say queries, but other queries change the answer")


def _check_bank(factory: StageFactory, problem: ProblemMaker) -> None:
    changed, declared, own = False, False, False
    for seed in _SEEDS:
        made = with_banks(problem(_QUERIES, _GALLERY, 30 + seed), seed)
        other = made.with_banks(query_bank=_half(made.query_bank), gallery_bank=_half(made.gallery_bank))
        stage = factory()
        declared, own = _declared(stage, made).bank, stage.looks_at().bank
        if not (declared and changed):
            both = run(factory(), made, _K, "with banks"), run(factory(), other, _K, "half a bank")
            changed = not close(*both) or changed
    if not declared:
        expect(not changed, "looks_at does not say bank, but another bank changes the answer")
    elif not own:  # a stage with a bank of its own need not look at the problem's
        expect(changed, "looks_at says bank, but another bank never changed an answer")


def _half(bank: Bank | None) -> Bank:
    """Every second item of a bank."""
    assert bank is not None, "the problem was made with banks"
    return bank.some(np.arange(0, bank.size, 2))


def _declared(stage: Stage, made: Problem) -> Looks:
    found = stage.looks_at(made)
    expect(isinstance(found, Looks), f"looks_at must return a rerankit.Looks (got {found!r})")
    return found
