"""What each level and each round adds on made-up scenes, and what the cascade costs.

    python benchmarks/hmrn_ablation.py [--seeds 3] [--data FOLDER] [--out docs/images] [--json FILE]

Scenes in DrillDown's layout with planted structure (`rerankit.tasks.miniatures.drilldown`): figures on them
show that training works and what the parts do, and nothing about real pictures. For each seed one network of each
variant is trained through the shared loop; the levels are then switched on one after the other. Figures are means over
the seeds; the interval of what a level adds resamples the test searches.
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
from rerankit.stages.hmrn.cascade import cascade_curve
from rerankit.stages.hmrn.fitting import TrainingPairs
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.statistics.resampling import bootstrap
from rerankit.tasks.miniatures.drilldown import write_drilldown
from rerankit.tasks.visual_genome import VisualGenome, plot_rounds
from rerankit.training import TrainingSettings

SIZES: dict[str, Any] = {"dim": 32, "reasoning_dim": 32, "word_dim": 24, "region_slots": 10, "dropout": 0.1}
TRAINING: dict[str, Any] = {
    "epochs": 10, "batch_size": 64, "learning_rate": 3e-3, "optimizer": "adam", "schedule": "step", "milestones": (7,),
    "clip_norm": 2.0, "device": "cpu",
}  # fmt: skip
DEPTH = 100
VARIANTS = ("I-T", "T-I")
ENSEMBLE = "mean of both"
LEVELS = ("local", "+ global", "+ reasoning")


def hits(joint: np.ndarray) -> np.ndarray:
    """Whether each search's first place is right, (searches,): the answer of search i is image i."""
    return (joint.argmax(axis=1) == np.arange(len(joint))).astype(float)


def levels(stage: HmrnStage, pairs: TrainingPairs) -> dict[str, np.ndarray]:
    """The levels and the joint score of the last round, all pairs."""
    scorer = stage.scorer
    images, searches = scorer.images(pairs.regions), scorer.searches(pairs.queries)
    blocks = list(scorer.score(images, searches, [10]))
    return {
        name: np.concatenate([getattr(b, name)[0] for b in blocks])
        for name in ("local", "overall", "reasoning", "joint")
    }


def by_round(stage: HmrnStage, pairs: TrainingPairs) -> dict[str, float]:
    """R@1 after every round with the cascade, all test images."""
    scorer = stage.scorer
    images, searches = scorer.images(pairs.regions), scorer.searches(pairs.queries)
    found = gallery_rankings(scorer, images, searches, list(range(1, 11)), depth=DEPTH, keep=1)
    right = [np.mean(ranking.indices[:, 0] == np.arange(len(ranking))) for ranking in found]
    return {f"{VisualGenome.round_name(t)}/success@1": float(hit) for t, hit in enumerate(right, start=1)}


class Findings:
    """What the networks of all seeds do: right first places with each level, curves of the cascade, rounds."""

    def __init__(self, relevance: Relevance) -> None:
        self.relevance = relevance
        self.hits: dict[str, list[list[np.ndarray]]] = {}
        self.curves: dict[str, list[Any]] = {}
        self.rounds: dict[str, list[dict[str, float]]] = {}

    def add(self, name: str, stage: HmrnStage, found: dict[str, np.ndarray]) -> None:
        """Take in the tables of one seed."""
        local = stage.local_weight * found["local"]
        cheap = local + stage.global_weight * found["overall"]
        self.hits.setdefault(name, []).append([hits(table) for table in (local, cheap, found["joint"])])
        self.curves.setdefault(name, []).append(cascade_curve(cheap, found["joint"], self.relevance))

    def ablation(self, name: str) -> dict[str, Any]:
        """R@1 with the levels switched on: mean over the seeds, each seed, and what a level adds with its interval."""
        right = np.array(self.hits[name])  # (seeds, levels, searches)
        means = right.mean(axis=0)
        row: dict[str, Any] = {"seeds": right.mean(axis=2).tolist()}
        for number, level in enumerate(LEVELS):
            row[level] = float(means[number].mean())
            if number:
                added = means[number] - means[number - 1]
                row[f"{level} adds"] = [float(added.mean()), *bootstrap(added)]
        return row

    def cascade(self, name: str) -> list[dict[str, float]]:
        """The cascade's table, figures as means over the seeds; the limit is the highest of them."""
        tables = [curve.rows() for curve in self.curves[name]]
        rows = []
        for same in zip(*tables, strict=True):
            row = {key: float(np.mean([one[key] for one in same])) for key in same[0]}
            row["loss at most"] = max(one["loss at most"] for one in same)
            rows.append({**row, "depth": same[0]["depth"]})
        return rows


def run(data: Path, out: Path | None, images: int, seeds: int) -> dict[str, Any]:
    """Train both variants with every seed, draw the first, gather the figures."""
    train, val = (VisualGenome(split, images=None).judged(data) for split in ("train", "val"))
    problem, _ = VisualGenome("test", images=None).judged(data)
    problem = problem.subset(np.arange(images), np.arange(images))
    relevance = Relevance.from_lists([[row] for row in range(images)], gallery_size=images)
    findings, report, seconds = Findings(relevance), {}, []
    for seed in range(seeds):
        tables = {}
        for variant in VARIANTS:
            started = time.monotonic()
            stage = HmrnStage(variant, cascade=DEPTH, device="cpu", **SIZES)
            stage.fit(*train, validation=val, settings=TrainingSettings(**TRAINING, seed=seed))
            seconds.append(time.monotonic() - started)
            pairs = TrainingPairs(*stage.read(problem.query_features, problem.gallery_features), relevance)
            tables[variant] = levels(stage, pairs)
            findings.add(variant, stage, tables[variant])
            findings.rounds.setdefault(variant, []).append(by_round(stage, pairs))
        both = {name: sum(tables[v][name] for v in VARIANTS) / 2 for name in tables[VARIANTS[0]]}
        findings.add(ENSEMBLE, stage, both)
    for name in (*VARIANTS, ENSEMBLE):
        report[name] = {**findings.ablation(name), "cascade": findings.cascade(name)}
    report["rounds"] = {
        variant: {key: float(np.mean([one[key] for one in found])) for key in found[0]}
        for variant, found in findings.rounds.items()
    }
    report["training seconds"] = seconds
    if out is not None:
        for variant in VARIANTS:
            title = f"Cascade, {variant}, {images:,} made-up images"
            for theme, ending in (("light", ""), ("dark", "-dark")):
                findings.curves[variant][0].plot(out / f"hmrn-cascade-{variant}{ending}.png", title, DEPTH, theme)
        title = f"{images:,} made-up images, cascade of {DEPTH}"
        for theme, ending in (("light", ""), ("dark", "-dark")):
            plot_rounds(report["rounds"], out / f"hmrn-rounds{ending}.png", title=title, theme=theme)
    return report


def show(report: dict[str, Any], images: int, seeds: int) -> None:
    """The ablation table, the cascade, the rounds."""
    title = f"R@1 after ten rounds, {images:,} made-up images, mean of {seeds} seeds"
    table = Table("variant", *LEVELS, "global adds (95 %)", "reasoning adds (95 %)", title=title)
    for name in (*VARIANTS, ENSEMBLE):
        row = report[name]
        adds = ("{:+.1%} ({:+.1%} … {:+.1%})".format(*row[f"{level} adds"]) for level in LEVELS[1:])
        table.add_row(name, *(f"{row[level]:.1%}" for level in LEVELS), *adds)
    Console(width=120).print(table)
    table = Table("variant", "depth", "cost", "R@1", "loss", "loss at most (95 %)", title="cascade")
    for name in (*VARIANTS, ENSEMBLE):
        for row in report[name]["cascade"]:
            table.add_row(name, *(f"{value:.4g}" for value in row.values()))
    Console().print(table)
    for variant, found in report["rounds"].items():
        Console().print(f"R@1 by round, {variant}:", " ".join(f"{value:.1%}" for value in found.values()))
    Console().print("seconds a training:", " ".join(f"{value:.0f}" for value in report["training seconds"]))


def main() -> None:
    """Make the data unless it is there, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--images", type=int, default=2100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        data = given.data or Path(spare)
        if not (data / "caches").is_dir():
            write_drilldown(data, train=1500, val=200, test=given.images)
        report = run(data, given.out, given.images, given.seeds)
    show(report, given.images, given.seeds)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
