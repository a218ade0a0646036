"""What each level and each round adds on made-up scenes, and what the cascade costs.

    python benchmarks/hmrn_ablation.py [--data FOLDER] [--out docs/images] [--json FILE]

Scenes in DrillDown's layout with planted structure (`rerankit.tasks.miniatures.drilldown`): figures on them
show that training works and what the parts do, and nothing about real pictures. One network of each variant is trained
through the shared loop; the levels are then switched on one after the other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rerankit import Relevance
from rerankit.stages.hmrn.candidates import gallery_rankings
from rerankit.stages.hmrn.cascade import CascadeCurve, cascade_curve
from rerankit.stages.hmrn.fitting import Pairs
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.tasks.miniatures.drilldown import write_drilldown
from rerankit.tasks.visual_genome import VisualGenome, plot_rounds
from rerankit.training import TrainingSettings

SIZES: dict[str, Any] = {"dim": 32, "reasoning_dim": 32, "word_dim": 24, "region_slots": 10, "dropout": 0.1}
TRAINING = TrainingSettings(
    epochs=10, batch_size=64, learning_rate=3e-3, optimizer="adam", schedule="step", milestones=(7,), clip_norm=2.0
)
DEPTH = 100


def first_places(joint: np.ndarray, relevance: Relevance) -> float:
    """R@1 of a table of scores."""
    return float(np.mean([item in relevance.of(row).items for row, item in enumerate(joint.argmax(axis=1))]))


def levels(stage: HmrnStage, pairs: Pairs) -> dict[str, np.ndarray]:
    """The levels and the joint score of the last round, all pairs."""
    scorer = stage.scorer
    images, searches = scorer.images(pairs.regions), scorer.searches(pairs.queries)
    blocks = list(scorer.score(images, searches, [10]))
    return {
        name: np.concatenate([getattr(b, name)[0] for b in blocks])
        for name in ("local", "overall", "reasoning", "joint")
    }


def ablation(
    found: dict[str, np.ndarray], stage: HmrnStage, relevance: Relevance
) -> tuple[dict[str, float], CascadeCurve]:
    """R@1 with the levels switched on one after the other, and the curve of the cascade."""
    local = stage.local_weight * found["local"]
    cheap = local + stage.global_weight * found["overall"]
    row = {
        "local": first_places(local, relevance),
        "+ global": first_places(cheap, relevance),
        "+ reasoning": first_places(found["joint"], relevance),
    }
    return row, cascade_curve(cheap, found["joint"], relevance)


def by_round(stage: HmrnStage, pairs: Pairs) -> dict[str, float]:
    """R@1 after every round with the cascade, all test images."""
    scorer = stage.scorer
    images, searches = scorer.images(pairs.regions), scorer.searches(pairs.queries)
    found = gallery_rankings(scorer, images, searches, list(range(1, 11)), depth=DEPTH, keep=1)
    hits = [np.mean(ranking.indices[:, 0] == np.arange(len(ranking))) for ranking in found]
    return {f"{VisualGenome.round_name(t)}/success@1": float(hit) for t, hit in enumerate(hits, start=1)}


def run(data: Path, out: Path | None, images: int) -> dict[str, Any]:
    """Train both variants, print and draw."""
    report: dict[str, Any] = {}
    train, val = (VisualGenome(split, images=None).judged(data) for split in ("train", "val"))
    problem, relevance = VisualGenome("test", images=None).judged(data)
    problem = problem.subset(np.arange(images), np.arange(images))
    relevance = Relevance.from_lists([[row] for row in range(images)], gallery_size=images)
    tables = {}
    for variant in ("I-T", "T-I"):
        started = time.monotonic()
        stage = HmrnStage(variant, cascade=DEPTH, device="cpu", **SIZES)
        stage.fit(*train, validation=val, settings=TRAINING)
        seconds = time.monotonic() - started
        pairs = Pairs(*stage.read(problem.features), relevance)
        tables[variant] = levels(stage, pairs)
        row, curve = ablation(tables[variant], stage, relevance)
        report[variant] = {**row, "cascade": curve.rows(), "training seconds": seconds}
        if out is not None:
            curve.plot(out / f"hmrn-cascade-{variant}.png", f"Cascade, {variant}, {images:,} made-up images")
        if variant == "T-I":
            report["rounds"] = by_round(stage, pairs)
    both = {name: (tables["I-T"][name] + tables["T-I"][name]) / 2 for name in tables["I-T"]}
    row, curve = ablation(both, stage, relevance)
    report["ensemble"] = {**row, "cascade": curve.rows()}
    if out is not None:
        title = f"{images:,} made-up images, cascade of {DEPTH}"
        plot_rounds({"T-I": report["rounds"]}, out / "hmrn-rounds.png", title=title)
    return report


def show(report: dict[str, Any], images: int) -> None:
    """The ablation table, and the cascade at its depth."""
    table = Table(
        "variant", "local", "+ global", "+ reasoning", title=f"R@1 after ten rounds, {images:,} made-up images"
    )
    for variant in ("I-T", "T-I", "ensemble"):
        table.add_row(variant, *(f"{report[variant][name]:.2%}" for name in ("local", "+ global", "+ reasoning")))
    Console().print(table)
    table = Table("variant", "depth", "cost", "R@1", "loss", "loss at most (95 %)", title="cascade")
    for variant in ("I-T", "T-I", "ensemble"):
        for row in report[variant]["cascade"]:
            table.add_row(variant, *(f"{value:.4g}" for value in row.values()))
    Console().print(table)
    Console().print("R@1 by round, T-I:", " ".join(f"{value:.1%}" for value in report["rounds"].values()))


def main() -> None:
    """Make the data unless it is there, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=int, default=2100)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        data = given.data or Path(spare)
        if not (data / "caches").is_dir():
            write_drilldown(data, train=1500, val=200, test=given.images)
        report = run(data, given.out, given.images)
    show(report, given.images)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
