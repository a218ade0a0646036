"""The conformance kit: what every stage must do, as checks that plugin authors run on theirs.

>>> from rerankit import Stage
>>> from rerankit.testing import check_stage
>>> class Upside(Stage):
...     name = "upside"
...     def rescore(self, problem, ranking):
...         return -ranking.scores
>>> check_stage(Upside, skip={"check_pickle": "a class of a doctest cannot be imported"})

or, with one test for each check:

    @pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
    def test_my_stage(check):
        check(MyStage)

A stage that reads features or banks brings its own `problem(queries, gallery, seed)`, which makes a problem
of that size; a trainable stage's factory returns a fitted one. `check_metric`, `check_task` and `check_format` are the
kits for metrics, benchmark tasks and formats.
"""

from __future__ import annotations

from rerankit.testing.formats import check_format
from rerankit.testing.kit import STAGE_CHECKS, CheckFailed, StageCase, check_stage
from rerankit.testing.metrics import check_metric
from rerankit.testing.problems import make_problem
from rerankit.testing.tasks import check_task

__all__ = [
    "STAGE_CHECKS",
    "CheckFailed",
    "StageCase",
    "check_format",
    "check_metric",
    "check_stage",
    "check_task",
    "make_problem",
]
