"""What stages say of how they scale, and whether it is so."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from rerankit import Gallery, Problem, Stage
from rerankit.pipelines.prepared import State
from rerankit.pipelines.scaling import NOTHING, WITHOUT_A_BANK, Scaling
from rerankit.plugins import manager

BUILTIN = [name for name in manager().stages if manager().is_builtin(name)]
WITHOUT_ARGUMENTS = [
    name
    for name in BUILTIN
    if not any(
        each.default is each.empty
        for each in inspect.signature(manager().stages.entry(name).load()).parameters.values()
    )
]


FREE = [name for name in WITHOUT_ARGUMENTS if name not in ("auto", "fuse")]
PREPARED = [
    name for name, made in ((name, manager().stages.entry(name).make()) for name in FREE) if "weights" not in made.needs
]


def test_an_answer_is_a_value():
    assert Scaling() == Scaling(NOTHING, NOTHING, "", NOTHING)
    assert set(Scaling().items().values()) == {NOTHING}
    assert Scaling("a number").items()["shards share"] == "what is kept, which each of them reads"
    assert Scaling(shared="weights").items()["shards share"] == "weights"


@pytest.mark.parametrize("name", BUILTIN)
def test_every_stage_says_how_it_scales(name):
    factory = manager().stages.entry(name).load()
    assert isinstance(factory.scaling, Scaling)


def test_a_stage_of_others_need_not_say_it():
    assert Stage.scaling is None


def problem_of(items: int, bank: bool) -> Problem:
    """Twenty queries, and a bank of queries that each have an item of their own."""
    random = np.random.default_rng(items)
    queries, gallery = random.normal(size=(20, 8)), random.normal(size=(items, 8))
    others = gallery[:60] + 0.1 * random.normal(size=(60, 8))
    return Problem.from_embeddings(queries, gallery, query_bank=others if bank else None)


def size_of(state: State) -> int:
    return state.bytes + sum(map(size_of, state.children))


@pytest.mark.parametrize("name", FREE)
def test_what_a_stage_says_of_shards_is_so(name):
    made = manager().stages.entry(name).make()
    assert made.scaling is not None
    alone, beside = (made.looks_at(problem_of(100, bank)).queries for bank in (False, True))
    said = made.scaling.impossible
    assert not beside
    assert (said == WITHOUT_A_BANK) == alone or name == "learned-fusion"


@pytest.mark.parametrize("name", PREPARED)
def test_what_a_stage_keeps_grows_with_the_items(name):
    made = manager().stages.entry(name).make(**({"voters": "gallery"} if name == "consensus" else {}))
    sizes = [size_of(made.prepare(Gallery.of(problem_of(items, True))).state()) for items in (200, 400, 800)]
    assert (sizes[0] == sizes[2]) == (made.scaling.keeps == NOTHING)
    assert sizes[2] - sizes[1] <= 2.5 * (sizes[1] - sizes[0])  # with the items, not with their square
