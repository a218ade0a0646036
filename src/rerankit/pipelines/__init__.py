"""What a stage is, how stages are joined, run, prepared for a gallery, and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rerankit.pipelines.composite import Composite, PreparedComposite
from rerankit.pipelines.indexed import Indexed
from rerankit.pipelines.needs import Need, NeedWord, Unmet
from rerankit.pipelines.pipeline import Pipeline, Step
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.stage import Stage, stage, stages_available
from rerankit.pipelines.top import Top
from rerankit.pipelines.trainable import Learning, Trainable

if TYPE_CHECKING:
    from rerankit.pipelines.ready import Ready

__all__ = [
    "Change",
    "Composite",
    "Indexed",
    "Learning",
    "Need",
    "NeedWord",
    "Pipeline",
    "Prepared",
    "PreparedComposite",
    "Ready",
    "Scaling",
    "Stage",
    "State",
    "Step",
    "Top",
    "Trainable",
    "Unmet",
    "stage",
    "stages_available",
]


def __getattr__(name: str) -> Any:
    if name != "Ready":  # it brings galleries along, which re-ranking does without
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rerankit.pipelines.ready import Ready

    return Ready
