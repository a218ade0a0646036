"""Judges: somebody who reads a query and its candidates says what is better, by lists or by pairs."""

from __future__ import annotations

from typing import Any

from rerankit import hookimpl


@hookimpl
def rerankit_register_stages(register: Any) -> None:
    register("listwise-judge", "rerankit_judge.listwise:ListwiseJudge")
    register("pairwise-judge", "rerankit_judge.pairwise:PairwiseJudge")
