"""Checks of the stage as an object: parameters, files, pickles."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rerankit.gallery import Gallery
from rerankit.pipelines.stage import Stage
from rerankit.pipelines.storage import load
from rerankit.plugins import hookimpl, manager
from rerankit.preparing import prepare
from rerankit.testing.problems import ProblemMaker, make_problem, with_banks
from rerankit.testing.run import StageFactory, expect, expect_equal, failing, run

_K = 6


def check_params(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Parameters come back as given; the same parameters make an equal stage, with the same hash and answer."""
    stage = factory()
    expect(bool(stage.name), "the stage has no name")
    expect(
        "k" not in stage.parameters(), "a parameter 'k' cannot be given by name: k says how many candidates there are"
    )
    with failing("its own parameters do not make it again"):
        params = stage.get_params()
        again = type(stage)(**params)
        copy = stage.clone()
    for name, value in params.items():
        found = again.get_params()[name]
        expect(found is value or _equal(found, value), f"parameter '{name}' came back as {found!r} (given {value!r})")
    expect(copy == stage, f"clone() is not equal to the stage: {copy!r} and {stage!r}")
    expect(hash(copy) == hash(stage), "equal stages have different hashes")
    expect(repr(copy) == repr(stage), f"equal stages have different reprs: {copy!r} and {stage!r}")
    _expect_same_answer(copy, stage, problem, "clone()")


def check_save(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """What `save` writes, `load` makes into an equal stage with the same answer; prepared for a gallery, too."""
    stage = factory()
    with tempfile.TemporaryDirectory() as parent, _registered(stage):
        folder = Path(parent) / "stage"
        with failing("saving and loading"):
            stage.save(folder)
            loaded = load(folder)
        expect(loaded == stage, f"the loaded stage is not equal: {loaded!r} and {stage!r}")
        _expect_same_answer(loaded, stage, problem, "load()")
        _expect_ready_kept(stage, problem, Path(parent) / "ready")


def check_pickle(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """The stage goes through pickle, which is how it reaches other processes."""
    stage = factory()
    run(stage, problem(4, 5, 0), _K)  # a stage that has run must pickle too
    with failing("pickling"):
        copy = pickle.loads(pickle.dumps(stage))
    expect(copy == stage, f"the unpickled stage is not equal: {copy!r} and {stage!r}")
    _expect_same_answer(copy, stage, problem, "pickle")


def _expect_same_answer(one: Stage, other: Stage, problem: ProblemMaker, how: str) -> None:
    made = problem(7, 9, 10)
    expect_equal(run(one, made, _K), run(other, made, _K), f"the stage from {how} gives another answer")


def _expect_ready_kept(stage: Stage, problem: ProblemMaker, folder: Path) -> None:
    """A prepared gallery that was saved and loaded gives the same answers."""
    made = with_banks(problem(4, 9, 12))
    if stage.unmet(made) or stage.looks_at(made).queries:
        return
    first, ready = made.ranking(_K), prepare(stage, Gallery.of(made))
    with failing("saving and loading a prepared gallery"):
        ready.save(folder)
        loaded = load(folder)
    expected = ready.answer(made, first)
    expect_equal(loaded.answer(made, first), expected, "a prepared gallery that was loaded gives another answer")


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # arrays
        return bool((one == other).all())


@contextmanager
def _registered(stage: Stage) -> Iterator[None]:
    """Make the name known while the block runs, for a stage whose plugin is not installed."""
    if stage.name in manager().stages:
        yield
        return

    class Plugin:
        @hookimpl
        def rerankit_register_stages(self, register: Any) -> None:
            register(stage.name, type(stage))

    name = f"conformance check of {stage.name}"
    manager().register(Plugin(), name)
    try:
        yield
    finally:
        manager().unregister(name)
