"""Runs in shards: preparing by items, re-ranking in blocks of queries, on an engine; what was stopped goes on."""

from __future__ import annotations

from rerankit.runs.preparing import prepare_in_shards
from rerankit.runs.run import rerank_in_shards
from rerankit.runs.status import Status, runs_in, status_of
from rerankit.runs.working import on_engine

__all__ = ["Status", "on_engine", "prepare_in_shards", "rerank_in_shards", "runs_in", "status_of"]
