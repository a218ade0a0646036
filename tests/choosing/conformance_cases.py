"""Cases of `auto` for the conformance kit: choosing anew, where a small problem is left alone, and what was chosen."""

from __future__ import annotations

from functools import partial

from rerankit import Pipeline, stage
from rerankit.testing import StageCase

LEFT_ALONE = "a problem as small as the kit's is left alone, whatever its other queries are"

CASES = {
    "auto": StageCase(partial(stage, "auto"), skip={"check_looks": LEFT_ALONE}),
    "auto: chosen": StageCase(lambda: stage("auto", chosen=Pipeline(["mutual-rank"]))),
}
