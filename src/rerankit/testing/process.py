"""Checks that what is registered leaves the process that it runs in alone."""

from __future__ import annotations

import io
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import numpy as np

from rerankit.errors import brief
from rerankit.testing.problems import ProblemMaker, make_problem
from rerankit.testing.run import StageFactory, expect, run

_QUERIES, _GALLERY, _K = 9, 14, 6


def check_process(factory: StageFactory, problem: ProblemMaker = make_problem) -> None:
    """Nothing is printed, and the random generators of the process are left as they were."""
    stage, made = factory(), problem(_QUERIES, _GALLERY, 10)
    run(stage.clone(), made, _K)  # what is imported now may draw
    with leaving_alone("the stage"):
        run(stage.clone(), made, _K)  # which takes weights again


@contextmanager
def leaving_alone(what: str) -> Iterator[None]:
    """Fail when the block prints, or seeds or uses the generators that a process has one of."""
    printed = io.StringIO()
    with _drawn_from():
        before = _generators()
        with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which is how something is said
            yield
        after = _generators()
    expect(not printed.getvalue(), f"{what} prints: {brief(printed.getvalue())}")
    changed = [name for name in before if before[name] != after[name]]
    expect(not changed, f"{what} seeds or uses what everybody draws from ({', '.join(changed)}): make a generator")


@contextmanager
def _drawn_from() -> Iterator[None]:
    """Generators in a state that no seed gives, so that the same seed a second time is seen; then as they were."""
    python, numpy, torch = random.getstate(), np.random.get_state(), sys.modules.get("torch")  # noqa: NPY002
    torches = None if torch is None else torch.random.get_rng_state()
    random.random(), np.random.random()  # noqa: NPY002
    if torch is not None:
        torch.rand(1)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if torch is not None:
            torch.random.set_rng_state(torches)


def _generators() -> dict[str, bytes]:
    """Their states, by name."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - it is what others may draw from
    found = {"random": repr(random.getstate()).encode()}
    found["numpy.random"] = repr((kind, rest)).encode() + np.asarray(keys).tobytes()
    torch = sys.modules.get("torch")
    return found if torch is None else found | {"torch": torch.random.get_rng_state().numpy().tobytes()}
