"""rerankit: re-rank any backbone's similarity matrices.

The names below are imported when they are first used, so that importing the package stays fast and never
needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rerankit._version import __version__

if TYPE_CHECKING:
    from rerankit import bench, errors, features, limits, metrics, plots, settings, statistics, tasks, testing, training
    from rerankit.bank import Bank
    from rerankit.bars import progress
    from rerankit.choosing import choose, tune
    from rerankit.composite import Composite
    from rerankit.events import Event, track
    from rerankit.formats import read, write
    from rerankit.fusion import fuse
    from rerankit.gallery import Gallery
    from rerankit.looks import Looks
    from rerankit.metrics import Evaluation, evaluate, evaluate_both
    from rerankit.pipeline import Pipeline, rerank
    from rerankit.plugins import hookimpl
    from rerankit.plugins.manager import load_plugin
    from rerankit.problem import Problem
    from rerankit.ranking import Ranking
    from rerankit.ready import Ready, prepare
    from rerankit.relevance import Relevance
    from rerankit.reports import report, show
    from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Scores
    from rerankit.stages.base import Stage, stage, stages_available
    from rerankit.storage import load

_HOME = {
    "Bank": "rerankit.bank",
    "Composite": "rerankit.composite",
    "DenseScores": "rerankit.scores",
    "EmbeddingScores": "rerankit.scores",
    "Evaluation": "rerankit.metrics",
    "Event": "rerankit.events",
    "Gallery": "rerankit.gallery",
    "ListScores": "rerankit.scores",
    "Looks": "rerankit.looks",
    "Pipeline": "rerankit.pipeline",
    "Problem": "rerankit.problem",
    "Ranking": "rerankit.ranking",
    "Ready": "rerankit.ready",
    "Relevance": "rerankit.relevance",
    "Scores": "rerankit.scores",
    "Stage": "rerankit.stages.base",
    "choose": "rerankit.choosing",
    "evaluate": "rerankit.metrics",
    "evaluate_both": "rerankit.metrics",
    "fuse": "rerankit.fusion",
    "hookimpl": "rerankit.plugins",
    "load": "rerankit.storage",
    "load_plugin": "rerankit.plugins.manager",
    "prepare": "rerankit.ready",
    "progress": "rerankit.bars",
    "read": "rerankit.formats",
    "report": "rerankit.reports",
    "show": "rerankit.reports",
    "rerank": "rerankit.pipeline",
    "stage": "rerankit.stages.base",
    "stages_available": "rerankit.stages.base",
    "track": "rerankit.events",
    "tune": "rerankit.choosing",
    "write": "rerankit.formats",
}
_MODULES = (
    "bench",
    "errors",
    "features",
    "limits",
    "metrics",
    "plots",
    "settings",
    "statistics",
    "tasks",
    "testing",
    "training",
)

__all__ = [
    "Bank",
    "Composite",
    "DenseScores",
    "EmbeddingScores",
    "Evaluation",
    "Event",
    "Gallery",
    "ListScores",
    "Looks",
    "Pipeline",
    "Problem",
    "Ranking",
    "Ready",
    "Relevance",
    "Scores",
    "Stage",
    "__version__",
    "bench",
    "choose",
    "errors",
    "evaluate",
    "evaluate_both",
    "features",
    "fuse",
    "hookimpl",
    "limits",
    "load",
    "load_plugin",
    "metrics",
    "plots",
    "prepare",
    "progress",
    "read",
    "report",
    "rerank",
    "settings",
    "show",
    "stage",
    "stages_available",
    "statistics",
    "tasks",
    "testing",
    "track",
    "training",
    "tune",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"rerankit.{name}")
    raise AttributeError(f"module 'rerankit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
