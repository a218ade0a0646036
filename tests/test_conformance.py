"""The conformance kit over every stage that ships with rerankit.

A stage that can be made without arguments and reads nothing but matrices needs nothing here. Any other has a
file `conformance_cases.py` in its room under tests/stages, with `CASES: dict[str, StageCase]`; several cases of
one stage are named `"stage: case"`.
"""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rerankit
from rerankit.errors import InputError
from rerankit.extras import EXTRAS, absent
from rerankit.plugins import manager
from rerankit.testing import STAGE_CHECKS, StageCase, make_problem
from rerankit.testing.many import check_many_queries
from rerankit.testing.sharing import check_threads

ABSENT = {module for extra in EXTRAS for module in absent(extra)}
UNREAD: list[str] = []
"""Files of cases that import what is not installed."""
ROOM = Path(__file__).parent


def _cases() -> dict[str, StageCase]:
    found: dict[str, StageCase] = {}
    for path in sorted(ROOM.rglob("conformance_cases.py")):
        spec = importlib.util.spec_from_file_location(f"cases_of_{path.parent.name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except ModuleNotFoundError as error:
            if error.name not in ABSENT:
                raise
            UNREAD.append(str(path.relative_to(ROOM)))
            continue
        assert not set(module.CASES) & set(found), f"{path} repeats a case"
        found |= module.CASES
    covered = {name.partition(":")[0] for name in found}
    for name in rerankit.stages_available():
        if name not in covered and manager().stages.entry(name).owner == "rerankit":
            found[name] = StageCase(partial(rerankit.stage, name))
    return found


def waits(case: StageCase) -> bool:
    """Whether this stands in for a stage's own cases, which an absent package keeps from being read."""
    if not UNREAD or case.problem is not make_problem:
        return False
    try:
        return bool(case.factory().unmet(make_problem(3, 3)))
    except InputError:
        return True


COMPOSITES = {
    "top": lambda: rerankit.stage("mutual-rank").top(3),
    "pipeline": lambda: rerankit.stage("dba").top(4) >> rerankit.stage("csls"),
    "fuse: over stages": lambda: rerankit.stage("fuse", sources=["scores", rerankit.stage("nnn") >> "mutual-rank"]),
}
CASES = {**_cases(), **{name: StageCase(factory) for name, factory in COMPOSITES.items()}}
ALWAYS_IN_THREADS = ("cross-encoder", "csls", "hmrn")  # those that keep something between calls, and one that does not
QUICK = [check for check in STAGE_CHECKS if check is not check_threads]


SHARED = [pytest.param(name, marks=() if name in ALWAYS_IN_THREADS else pytest.mark.slow) for name in CASES]


@pytest.mark.parametrize("name", SHARED)
def test_threads_share_a_stage(name: str) -> None:
    test_stage(CASES[name], check_threads)


MANY_ARE_SLOW = ("hmrn: ensemble", "pillar: graph", "triplet")  # for which 210 queries are seconds


def _marks(name: str, check: Any) -> Any:
    return pytest.mark.slow if check is check_many_queries and name.startswith(MANY_ARE_SLOW) else ()


@pytest.mark.parametrize(
    ("case", "check"),
    [
        pytest.param(case, check, id=f"{name}-{check.__name__}", marks=_marks(name, check))
        for check in QUICK
        for name, case in CASES.items()
    ],
)
def test_stage(case: StageCase, check: Any) -> None:
    if waits(case):
        pytest.skip(f"its cases may be in a file that imports what is not installed: {', '.join(UNREAD)}")
    if check.__name__ in case.skip:
        pytest.skip(case.skip[check.__name__])
    check(case.factory, case.problem)
