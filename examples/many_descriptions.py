"""One picture looked for with several short descriptions, one after the other: the hierarchical scorer, round by round.

    python examples/many_descriptions.py [FOLDER]     # made-up scenes and rounds.png go there

So short a training only shows how it is done; benchmarks/hmrn_ablation.py trains until it works, in minutes.
"""

# needs: torch

from __future__ import annotations

import sys
from pathlib import Path

from rerankit import Relevance, evaluate
from rerankit.stages.hmrn.candidates import gallery_rankings
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.tasks.miniatures.drilldown import World, write_drilldown
from rerankit.tasks.visual_genome import VisualGenome, plot_rounds
from rerankit.training import TrainingSettings


def main(out: Path) -> None:
    data = out / "drilldown"
    write_drilldown(data, train=160, val=2, test=40, world=World(noise=0.3))
    train, test = (VisualGenome(split, images=None).judged(data) for split in ("train", "test"))
    stage = HmrnStage("T-I", dim=24, reasoning_dim=8, word_dim=12, region_slots=10, device="cpu", cascade=5)
    settings = TrainingSettings(
        epochs=6, batch_size=12, learning_rate=3e-3, optimizer="adam", clip_norm=2, device="cpu"
    )
    print(stage.fit(*train, settings=settings).history)

    regions, descriptions = stage.read(test[0].query_features, test[0].gallery_features)
    images, searches = stage.scorer.images(regions), stage.scorer.searches(descriptions)
    rounds = gallery_rankings(stage.scorer, images, searches, list(range(1, 11)), depth=5, keep=10)
    relevance = Relevance.from_lists([[row] for row in range(40)], 40)
    figures = {
        f"{VisualGenome.round_name(number)}/success@1": evaluate(ranking, relevance, ["success@1"])["success@1"]
        for number, ranking in enumerate(rounds, 1)
    }
    for name, value in figures.items():
        print(f"{name}: {100 * value:5.1f} %")
    print(plot_rounds({"after each description": figures}, out / "rounds.png", title="40 made-up pictures"))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
