"""The hooks of this plugin. Registering is all that happens when rerankit loads it, so it stays fast."""

from __future__ import annotations

from typing import Any

from rerankit import hookimpl


@hookimpl
def rerankit_register_stages(register: Any) -> None:
    # A path instead of the class: the module is imported when somebody uses the stage.
    register("neighbour-average", "rerankit_example.neighbour_average:NeighbourAverage")


@hookimpl
def rerankit_register_metrics(register: Any) -> None:
    register("reached", "rerankit_example.reached:reached")
