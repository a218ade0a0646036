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
from rerankit.plugins import manager
from rerankit.testing import STAGE_CHECKS, StageCase

ROOM = Path(__file__).parent / "stages"


def _cases() -> dict[str, StageCase]:
    found: dict[str, StageCase] = {}
    for path in sorted(ROOM.rglob("conformance_cases.py")):
        spec = importlib.util.spec_from_file_location(f"cases_of_{path.parent.name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert not set(module.CASES) & set(found), f"{path} repeats a case"
        found |= module.CASES
    covered = {name.partition(":")[0] for name in found}
    for name in rerankit.stages_available():
        if name not in covered and manager().stages.entry(name).owner == "rerankit":
            found[name] = StageCase(partial(rerankit.stage, name))
    return found


CASES = {**_cases(), "top": StageCase(lambda: rerankit.stage("mutual-rank").top(3))}


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_stage(case: StageCase, check: Any) -> None:
    if check.__name__ in case.skip:
        pytest.skip(case.skip[check.__name__])
    check(case.factory, case.problem)
