"""rerankit: re-rank any backbone's similarity matrices.

The names below are imported when they are first used, so that importing the package stays fast and never
needs torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rerankit._version import __version__

if TYPE_CHECKING:
    from rerankit import errors, settings
    from rerankit.bank import Bank
    from rerankit.problem import Feature, Problem
    from rerankit.ranking import Ranking
    from rerankit.relevance import Relevance
    from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Scores

_HOME = {
    "Bank": "rerankit.bank",
    "DenseScores": "rerankit.scores",
    "EmbeddingScores": "rerankit.scores",
    "Feature": "rerankit.problem",
    "ListScores": "rerankit.scores",
    "Problem": "rerankit.problem",
    "Ranking": "rerankit.ranking",
    "Relevance": "rerankit.relevance",
    "Scores": "rerankit.scores",
}
_MODULES = ("errors", "settings")

__all__ = [
    "Bank",
    "DenseScores",
    "EmbeddingScores",
    "Feature",
    "ListScores",
    "Problem",
    "Ranking",
    "Relevance",
    "Scores",
    "__version__",
    "errors",
    "settings",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"rerankit.{name}")
    raise AttributeError(f"module 'rerankit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
