"""The built-in plugin: everything that ships with rerankit registers here, by the same hooks as everybody.

Paths instead of classes: a stage's module is imported when the stage is first used, so torch is not needed
to use the stages that do without it.
"""

from __future__ import annotations

from rerankit.plugins.markers import hookimpl
from rerankit.plugins.spec import Register

STAGES = {
    "fuse": "rerankit.stages.fuse:Fuse",
    "mutual-rank": "rerankit.stages.mutual_rank:MutualRank",
    "top": "rerankit.stages.base:Top",
    "triplet": "rerankit.stages.triplet.stage:Triplet",
}


@hookimpl
def rerankit_register_stages(register: Register) -> None:
    for name, path in STAGES.items():
        register(name, path)
