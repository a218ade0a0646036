"""Runs in shards: re-ranking in blocks of queries, each a file, on an engine; a run that was stopped goes on."""

from __future__ import annotations

from rerankit.runs.run import rerank_in_shards
from rerankit.runs.status import Status, runs_in, status_of

__all__ = ["Status", "rerank_in_shards", "runs_in", "status_of"]
