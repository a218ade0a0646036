"""The whole triplet system from nothing on drawn scenes: train, re-rank, and a table with ablations.

    python benchmarks/triplet_miniature.py                        # every row
    python benchmarks/triplet_miniature.py --rows both            # the system alone
    python benchmarks/triplet_miniature.py --split val            # what settings are chosen on
    python benchmarks/triplet_miniature.py --data DIR --save OUT  # keep pictures, annotations, the fitted stage

The data are in CIRR's layout: pictures of coloured shapes, and texts that change the shape, the colour, the
number or the place. Every scene is in the gallery, so some pictures match the reference but for what the
text asks, and others do what the text asks but match nothing else of the reference. Scenes are the same in
all splits; every picture is drawn for it. The test split has a seed of its own.

Rows: "both" is the system; "text only" and "reference only" are the same two stages trained and asked with
the other half of the query blanked out; "longer stage I" is stage I alone, trained for about as long as both
stages of the system together; "wide stage I" compares vectors of 32 numbers in place of 8.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rerankit
from rerankit import Problem, Ranking, Relevance
from rerankit.measure import machine
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.stages.triplet.stage import Triplet
from rerankit.statistics import bootstrap
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
    "projection": 8,
    "merge_from": 2,
    "dropout": 0.0,
    "image_size": 48,
    "patch_size": 12,
    "vision_layers": 2,
    "vision_heads": 4,
    "vision_intermediate": 128,
}
SETTINGS = TrainingSettings(learning_rate=1e-3, warmup=50, clip_norm=1.0, device="cpu")
FILTER, DUAL = {"epochs": 2, "batch_size": 64}, {"epochs": 1, "batch_size": 8}
HARD, TRAIN_DEPTH = 8, 48
"""Wrong candidates of a query beside its batch, and the depth they come from: eight pictures of each scene."""
DEPTH = 20
QUERIES, RENDERINGS, HELD_OUT = 3072, 8, 1000
SEEDS = {"val": 0, "test": 20}


@dataclass(frozen=True)
class Row:
    """A system of the table: what of the query is blanked out, how long stage I trains, sizes of its own."""

    blank: str | None = None
    epochs: int = FILTER["epochs"]
    dual: bool = True
    projection: int = SIZES["projection"]


ROWS = {
    "both": Row(),
    "text only": Row(blank="reference"),
    "reference only": Row(blank="text"),
    "longer stage I": Row(epochs=10, dual=False),
    "wide stage I": Row(projection=32),
}


def draw(data: Path) -> None:
    """Pictures and annotation files of all splits, where they are not there yet."""
    if not (data / "train").is_dir():
        write_cirr(data / "train", split="train", queries=QUERIES, renderings=RENDERINGS, seed=0)
        for split, seed in SEEDS.items():
            write_cirr(data / split, split="val", queries=HELD_OUT, seed=seed)


def load(data: Path, split: str, blank: str | None) -> tuple[dict[str, Any], list[str], Relevance]:
    """Features, gallery names and relevance of a split; `blank` "text" or "reference" hides half the query."""
    folder, own = data / split, "train" if split == "train" else "val"
    matrix = CIRR(split=own, gallery=None).load(folder).matrices["scores"]  # the files are what the task reads
    captions = json.loads((folder / f"captions/cap.rc2.{own}.json").read_text())
    place = {name: column for column, name in enumerate(matrix.gallery_ids)}
    paths = [str(folder / "img_raw" / path) for path in matrix.gallery_features["candidate_path"]]
    references = [place[name] for name in matrix.query_features["reference"]]
    empty = np.full((48, 48, 3), 50, np.uint8)
    texts = matrix.query_features["text"]
    of_queries = {
        "text": ["change it" if blank == "text" else text for text in texts],
        "reference_images": [empty if blank == "reference" else paths[r] for r in references],
    }
    features = {"query_features": of_queries, "gallery_features": {"candidate_images": paths}}
    right = [[place[name] for name in query["target_soft"]] for query in captions]
    excluded = [[reference] for reference in references]
    return features, list(matrix.gallery_ids), Relevance.from_lists(right, len(paths), exclude=excluded)


def ranks(ranking: Ranking, relevance: Relevance) -> np.ndarray:
    """The place of every query's first right item, the reference left out; beyond every depth where it is absent."""
    out = []
    for query, items in enumerate(ranking.indices.tolist()):
        right, _, excluded = relevance.of(query)
        kept = [item for item in items if item not in excluded]
        out.append(next((place for place, item in enumerate(kept, 1) if item in right), 10**9))
    return np.array(out)


@dataclass
class Result:
    """A trained system on a held-out split."""

    stage: Triplet
    problem: Problem
    relevance: Relevance
    rankings: dict[str, Ranking]
    seconds: dict[str, float]
    processor_seconds: float
    """Of training both stages, all threads together."""

    def __post_init__(self) -> None:
        self.ranks = {name: ranks(ranking, self.relevance) for name, ranking in self.rankings.items()}

    def recall(self, stage: str, depth: int) -> float:
        """Per cent of the queries whose first right item is among the first `depth`."""
        return 100 * float(np.mean(self.ranks[stage] <= depth))

    def interval(self, stage: str) -> tuple[float, float]:
        """Of R@1, at 95 %; queries of one reference are resampled as one."""
        references = [int(self.relevance.of(query).excluded[0]) for query in range(self.relevance.shape[0])]
        low, high = bootstrap(self.ranks[stage] <= 1, groups=references)
        return 100 * low, 100 * high

    def rows(self, name: str) -> list[dict[str, Any]]:
        """One row of the table for each stage."""
        return [
            {
                "query": name,
                "ranked by": stage,
                "R@1": round(self.recall(stage, 1), 1),
                "95 %": [round(bound, 1) for bound in self.interval(stage)],
                "R@5": round(self.recall(stage, 5), 1),
                f"R@{DEPTH}": round(self.recall(stage, DEPTH), 1),
                "training s": round(self.seconds[stage]),
            }
            for stage in self.rankings
        ]


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def run(data: Path, row: Row, *, split: str = "test", seed: int = 0) -> Result:
    """Train on the train split and rank a held-out one."""
    features, names, relevance = load(data, "train", row.blank)
    used, began = time.process_time(), time.perf_counter()
    blind = Problem.from_embeddings(
        *(np.zeros((n, 1), np.float32) for n in relevance.shape),
        "dot",
        **features,
    )
    settings = replace(SETTINGS, seed=seed)
    sizes = {**SIZES, "projection": row.projection}
    learn = {**FILTER, "epochs": row.epochs}
    plan = TripletPlan(("filter",), settings, learn, tune_images=("filter",), sizes=sizes)
    stage = Triplet(device="cpu", image_pad="none", image_batch_size=64, max_tokens=16, training=plan)
    stage.fit(blind, relevance)
    seconds = {"stage I": time.perf_counter() - began}
    say(f"stage I: {seconds['stage I']:.0f} s, loss {stage.history.rows[-1]['loss']:.3f}")
    if row.dual:
        listed = stage.first_stage(**features, gallery_ids=names)
        plan = TripletPlan(("dual",), settings, dual=DUAL, hard_negatives=HARD, depth=TRAIN_DEPTH)
        stage = stage.clone(training=plan).fit(listed, relevance)
        seconds["stage II"] = time.perf_counter() - began - seconds["stage I"]
        say(f"stage II: {seconds['stage II']:.0f} s, loss {stage.history.rows[-1]['loss']:.3f}")
    used = time.process_time() - used
    features, names, relevance = load(data, split, row.blank)
    problem = stage.first_stage(**features, gallery_ids=names)
    rankings = {"stage I": problem.ranking(DEPTH + 1)}
    if row.dual:
        rankings["stage II"] = stage.rerank(problem, rankings["stage I"])
    return Result(stage, problem, relevance, rankings, seconds, used)


def main() -> None:
    """Draw, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="where pictures and annotation files are, or will be")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--split", choices=SEEDS, default="test")
    parser.add_argument("--seed", type=int, default=0, help="of the training")
    parser.add_argument("--picture", type=Path, help="write a query that stage II puts right as .png or .html")
    parser.add_argument("--save", type=Path, help="save the last row's stage in this folder")
    parser.add_argument("--out", type=Path, help="write the table as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        data = given.data or Path(spare)
        draw(data)
        table: list[dict[str, Any]] = []
        print(f"{HELD_OUT} queries of split {given.split!r}, {torch.get_num_threads()} threads; recall in per cent")
        for name in given.rows:
            result = run(data, ROWS[name], split=given.split, seed=given.seed)
            table += result.rows(name)
            show(table[-len(result.rankings) :])
        _write(result, table, given)


def show(rows: list[dict[str, Any]]) -> None:
    """Print rows of the table."""
    for row in rows:
        low, high = row["95 %"]
        figures = " ".join(f"{name} {row[name]:5.1f}" for name in ("R@5", f"R@{DEPTH}"))
        found = f"R@1 {row['R@1']:5.1f} ({low:.1f}…{high:.1f}) {figures}"
        print(f"{row['query']:15} {row['ranked by']:9} {found}  {row['training s']:4} s", flush=True)


def _write(result: Result, table: list[dict[str, Any]], given: argparse.Namespace) -> None:
    if given.picture:
        before, after = (result.ranks[name] for name in ("stage I", "stage II"))
        query = int(np.argmax((before > 1) & (after == 1)))
        first, last = result.rankings.values()
        sheet = rerankit.show(result.problem, last, [query], before=first, relevance=result.relevance, k=6)
        for theme, ending in (("light", ""), ("dark", "-dark")):
            sheet.save(given.picture.with_stem(f"{given.picture.stem}{ending}"), theme, overwrite=True)
    if given.save:
        result.stage.save(given.save)
    if given.out:
        given.out.write_text(json.dumps({"machine": machine(), "split": given.split, "table": table}, indent=2))


if __name__ == "__main__":
    main()
