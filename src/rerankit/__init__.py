"""rerankit: re-rank any backbone's similarity matrices.

The names below are imported when they are first used, so that importing the package stays fast and never
needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rerankit.version import __version__

if TYPE_CHECKING:
    from rerankit import bench, errors, features, limits, metrics, plots, settings, statistics, tasks, testing, training
    from rerankit.bank import Bank
    from rerankit.bars import progress
    from rerankit.choosing import choose, tune
    from rerankit.events import Event, track
    from rerankit.formats import read, write
    from rerankit.fusion import fuse
    from rerankit.gallery import Gallery
    from rerankit.hub import push
    from rerankit.looks import Looks
    from rerankit.metrics import Evaluation, evaluate, evaluate_both
    from rerankit.pipelines.composite import Composite
    from rerankit.pipelines.pipeline import Pipeline
    from rerankit.pipelines.ready import Ready
    from rerankit.pipelines.stage import Stage, stage, stages_available
    from rerankit.pipelines.storage import load
    from rerankit.pipelines.trainable import Trainable
    from rerankit.plugins import hookimpl
    from rerankit.plugins.current import load_plugin
    from rerankit.problem import Problem
    from rerankit.ranking import Ranking
    from rerankit.relevance import Relevance
    from rerankit.reports import report, show
    from rerankit.reranking import rerank
    from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Scores

_HOME = {
    "Bank": "rerankit.bank",
    "Composite": "rerankit.pipelines.composite",
    "DenseScores": "rerankit.scores",
    "EmbeddingScores": "rerankit.scores",
    "Evaluation": "rerankit.metrics",
    "Event": "rerankit.events",
    "Gallery": "rerankit.gallery",
    "ListScores": "rerankit.scores",
    "Looks": "rerankit.looks",
    "Pipeline": "rerankit.pipelines.pipeline",
    "Problem": "rerankit.problem",
    "Ranking": "rerankit.ranking",
    "Ready": "rerankit.pipelines.ready",
    "Relevance": "rerankit.relevance",
    "Scores": "rerankit.scores",
    "Stage": "rerankit.pipelines.stage",
    "Trainable": "rerankit.pipelines.trainable",
    "choose": "rerankit.choosing",
    "evaluate": "rerankit.metrics",
    "evaluate_both": "rerankit.metrics",
    "fuse": "rerankit.fusion",
    "hookimpl": "rerankit.plugins",
    "load": "rerankit.pipelines.storage",
    "load_plugin": "rerankit.plugins.current",
    "prepare": "rerankit.preparing",
    "progress": "rerankit.bars",
    "push": "rerankit.hub",
    "read": "rerankit.formats",
    "report": "rerankit.reports",
    "show": "rerankit.reports",
    "rerank": "rerankit.reranking",
    "stage": "rerankit.pipelines.stage",
    "stages_available": "rerankit.pipelines.stage",
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
    "Trainable",
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
    "push",
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
