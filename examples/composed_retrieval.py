"""A picture and what should be changed about it, looked for among drawn scenes: `triplet`, trained from nothing.

    python examples/composed_retrieval.py [FOLDER]     # pictures of the scenes and query.png go there

So short a training only shows how it is done; benchmarks/triplet_miniature.py trains until it works, in minutes.
"""

# needs: torch transformers

from __future__ import annotations

import sys
from pathlib import Path

import rerankit
from rerankit.display import with_pictures
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.stages.triplet.stage import Triplet
from rerankit.tasks.cirr import CIRR
from rerankit.tasks.miniatures.composed import write_cirr
from rerankit.training import TrainingSettings

TEXT = {"hidden": 32, "layers": 2, "heads": 2, "intermediate": 64, "positions": 16, "projection": 8, "merge_from": 1}
PICTURE = {"width": 32, "image_size": 48, "patch_size": 24}
SIZES = {**TEXT, **PICTURE, "vision_layers": 1, "vision_heads": 2, "vision_intermediate": 64}


def main(out: Path) -> None:
    data = write_cirr(out / "scenes", queries=16)
    asked, relevance = CIRR(gallery=None).judged(data)  # the files are those of the benchmark CIRR
    problem = with_pictures(asked, str(data / "img_raw" / "{path}"))

    settings = TrainingSettings(epochs=1, batch_size=16, learning_rate=1e-3, device="cpu")
    plan = TripletPlan(settings=settings, tune_images=("filter",), sizes=SIZES)
    stage = Triplet(device="cpu", image_pad="none", max_tokens=16, training=plan).fit(problem, relevance)
    listed = stage.first_stage(problem.query_features, problem.gallery_features)
    ranking = rerankit.rerank(listed, stage, k=8)
    shown = rerankit.show(listed, ranking, [0, 1, 2], k=4, relevance=relevance)
    print(shown.save(out / "query.png", overwrite=True))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
