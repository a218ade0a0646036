"""The whole triplet system from nothing on drawn scenes: train, re-rank, and a table with ablations.

    python benchmarks/triplet_miniature.py            # a few minutes on a CPU
    python benchmarks/triplet_miniature.py --data DIR # keep the pictures and annotation files

The data are in CIRR's layout: pictures of coloured shapes, and texts that change the shape, the colour, the
number or the place. Every scene is in the gallery, so some pictures match the reference but for what the
text asks, and others do what the text asks but match nothing else of the reference. Text only and reference
only are the same two stages trained and asked with the other half of the query blanked out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rerankit import Feature, Problem, Relevance
from rerankit.stages.triplet.picture import compose, save_picture
from rerankit.stages.triplet.plan import Plan
from rerankit.stages.triplet.stage import Triplet
from rerankit.tasks.cirr import CIRR
from rerankit.tasks.miniatures.composed import write_cirr
from rerankit.training import TrainingSettings

SIZES = {
    "hidden": 64,
    "layers": 3,
    "heads": 4,
    "intermediate": 128,
    "positions": 16,
    "width": 64,
    "projection": 32,
    "merge_from": 2,
    "dropout": 0.0,
    "image_size": 48,
    "patch_size": 12,
    "vision_layers": 2,
    "vision_heads": 4,
    "vision_intermediate": 128,
}
FILTER = TrainingSettings(epochs=12, batch_size=64, learning_rate=1e-3, warmup=50, clip_norm=1.0, device="cpu")
EASY = TrainingSettings(epochs=2, batch_size=12, learning_rate=1e-3, warmup=50, clip_norm=1.0, device="cpu")
HARD = TrainingSettings(epochs=6, batch_size=8, learning_rate=1e-3, warmup=50, clip_norm=1.0, device="cpu")
"""Stage II learns from its batches first: from hard negatives alone it starts very slowly."""
DEPTH = 20


def load(data: Path, split: str, blank: str | None) -> tuple[dict[str, Feature], list[str], Relevance]:
    """Features, gallery names and relevance of a split; `blank` "text" or "reference" hides half the query."""
    captions = json.loads((data / f"captions/cap.rc2.{split}.json").read_text())
    where = json.loads((data / f"image_splits/split.rc2.{split}.json").read_text())
    names = list(where)
    place = {name: column for column, name in enumerate(names)}
    paths = [str(data / "img_raw" / path) for path in where.values()]
    references = [place[query["reference"]] for query in captions]
    empty = np.full((48, 48, 3), 50, np.uint8)
    features = {
        "text": Feature(["change it" if blank == "text" else q["caption"] for q in captions], "query"),
        "reference_images": Feature([empty if blank == "reference" else paths[r] for r in references], "query"),
        "candidate_images": Feature(paths, "gallery"),
    }
    right = [[place[name] for name in query["target_soft"]] for query in captions]
    return features, names, Relevance.from_lists(right, len(names), excluded=[[r] for r in references])


def recalls(problem: Problem, ranking: Any, relevance: Relevance, depths: tuple[int, ...]) -> list[float]:
    """Recall at some depths, the reference left out, in per cent."""
    ranks = []
    for query, items in enumerate(ranking.indices.tolist()):
        right, _, out = relevance.of(query)
        kept = [item for item in items if item not in out]
        ranks.append(next((place for place, item in enumerate(kept, 1) if item in right), 10**9))
    return [100 * float(np.mean(np.array(ranks) <= depth)) for depth in depths]


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def run(data: Path, blank: str | None, seed: int) -> dict[str, Any]:
    """Train both stages on the train split and measure on val."""
    features, names, relevance = load(data, "train", blank)
    began = time.perf_counter()
    stage = Triplet(device="cpu", image_pad="none", image_batch=64, max_tokens=16)
    blind = Problem(np.zeros(relevance.shape, np.float32), features=features)
    plan = Plan(("filter",), replace(FILTER, seed=seed), tune_images=("filter",), sizes=SIZES)
    stage.fit(blind, relevance, plan=plan)
    first = time.perf_counter() - began
    say(f"stage I trained in {first:.0f} s, loss {stage.history.rows[-1]['loss']:.3f}")
    train = stage.first_stage(features, gallery_ids=names)
    stage.fit(train, relevance, plan=Plan(("dual",), replace(EASY, seed=seed)))
    say(f"stage II on its batches: loss {stage.history.rows[-1]['loss']:.3f}")
    stage.fit(train, relevance, plan=Plan(("dual",), replace(HARD, seed=seed), hard_negatives=8, depth=DEPTH))
    second = time.perf_counter() - began - first
    say(f"stage II trained in {second:.0f} s, loss {stage.history.rows[-1]['loss']:.3f}")
    features, names, relevance = load(data, "val", blank)
    problem = stage.first_stage(features, gallery_ids=names)
    before = problem.ranking(DEPTH + 1)
    after = stage.rerank(problem, before)
    return {
        "stage": stage,
        "problem": problem,
        "relevance": relevance,
        "before": before,
        "after": after,
        "stage I": recalls(problem, before, relevance, (1, 5, DEPTH)),
        "stage II": recalls(problem, after, relevance, (1, 5, DEPTH)),
        "seconds": (first, second),
    }


def main() -> None:
    """Draw, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-ablations", action="store_true")
    parser.add_argument("--picture", type=Path, help="write the first changed query as .png or .html")
    parser.add_argument("--save", type=Path, help="save the trained stage in this folder")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        data = given.data or Path(spare)
        if not (data / "captions").is_dir():
            write_cirr(data, split="train", queries=1536, renderings=2, seed=given.seed)
            write_cirr(data, split="val", queries=400, seed=given.seed)
        CIRR(split="val", gallery=None).load(data)  # the files are what the task reads
        runs = {"both": run(data, None, given.seed)}
        if not given.no_ablations:
            runs |= {f"{kept} only": run(data, blank, given.seed) for kept, blank in ABLATIONS}
        show(runs)
        _write(runs["both"], given)


ABLATIONS = (("text", "reference"), ("reference", "text"))


def show(runs: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    queries, gallery = runs["both"]["problem"].shape
    print(f"{queries} queries, {gallery} pictures, {torch.get_num_threads()} threads; recall in per cent")
    print(f"{'query':15} {'ranked by':10} {'R@1':>6} {'R@5':>6} {f'R@{DEPTH}':>6} {'training s':>11}")
    for name, result in runs.items():
        for stage, seconds in zip(("stage I", "stage II"), result["seconds"], strict=True):
            one, five, deep = result[stage]
            print(f"{name:15} {stage:10} {one:6.1f} {five:6.1f} {deep:6.1f} {seconds:11.0f}")


def _write(result: dict[str, Any], given: argparse.Namespace) -> None:
    if given.picture:
        changed = np.flatnonzero(result["before"].indices[:, 0] != result["after"].indices[:, 0])
        shown = compose(
            result["problem"],
            int(changed[0]) if len(changed) else 0,
            result["before"],
            result["after"],
            relevance=result["relevance"],
            k=6,
        )
        save_picture(shown, given.picture)
    if given.save:
        result["stage"].save(given.save)


if __name__ == "__main__":
    main()
