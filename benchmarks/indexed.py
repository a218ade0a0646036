"""What approximate neighbours cost in quality, and save in time: stages with exact neighbours and with those of FAISS.

    python benchmarks/indexed.py --data ../shared/realdata [-k 100] [--queries 1500] [--stages k-reciprocal,gnn,…]

Real captions (coco_captions): the one that stands for a picture looks for the four others of it among 20,000, those of
all three splits. Nothing is chosen here: every stage has its own parameters. `--queries` of them, evenly spaced, ask;
those are in the graph of a stage that joins queries and items. Seconds are those of the processor, all threads
together, building an index included; the search for candidates is exact, and not counted. Intervals are those of a
paired bootstrap.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import rerankit
from rerankit import Problem, Relevance
from rerankit.statistics import compare

STAGES = "k-reciprocal,gnn,diffusion,dba,consensus"
INDEXES = (
    ("IVF128,Flat", "nprobe=1"),
    ("IVF128,Flat", "nprobe=8"),
    ("HNSW32", "efSearch=32"),
    ("HNSW32", "efSearch=128"),
)


def captions(folder: Path, queries: int) -> tuple[Problem, Relevance]:
    """Captions of all splits as a problem, and what is right in it."""
    images, texts, owners, first = [], [], [], 0
    for split in ("train", "val", "test"):
        with np.load(folder / "coco_captions" / f"{split}.npz") as found:
            images.append(found["image"])
            texts.append(found["text"])
            owners.append(found["image_of_text"] + first)
        first += len(images[-1])
    owner = np.concatenate(owners)
    asked = np.unique(np.linspace(0, first - 1, queries).astype(np.int64))
    right = Relevance.from_lists([np.flatnonzero(owner == one).tolist() for one in asked], len(owner))
    return Problem.from_embeddings(np.concatenate(images)[asked], np.concatenate(texts)), right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--queries", type=int, default=1500)
    parser.add_argument("--stages", default=STAGES)
    given = parser.parse_args()
    from rerankit_faiss.indexed import Indexed

    problem, right = captions(given.data, given.queries)
    first = problem.ranking(given.k)
    print(f"{problem}; {given.k} candidates")
    print(f"{'stage':<14}{'neighbours':<28}{'missed, %':>10}{'s':>8}{'R@1':>8}{'mAP':>8}   mAP, less exact")
    base = rerankit.evaluate(first, right, ["success@1", "map"])
    print(f"{'as they come':<52}{'':>8}{100 * base['success@1']:8.2f}{100 * base['map']:8.2f}")
    for name in given.stages.split(","):
        one, exact = rerankit.stage(name), None
        plans = [(one, "all compared"), *((Indexed(one, *each), " ".join(each)) for each in INDEXES)]
        for made, called in plans:
            start = time.process_time()
            found = made.rerank(problem, first)
            seconds = time.process_time() - start
            figures = rerankit.evaluate(found, right, ["success@1", "map"])
            exact = exact or figures
            missed = found.notes.get("indexed", {}).get("missed", 0.0)
            apart = "" if exact is figures else str(_apart(exact, figures))
            print(
                f"{name:<14}{called:<28}{100 * missed:10.2f}{seconds:8.1f}{100 * figures['success@1']:8.2f}"
                f"{100 * figures['map']:8.2f}   {apart}",
                flush=True,
            )


def _apart(exact: rerankit.Evaluation, other: rerankit.Evaluation) -> str:
    """The difference in mAP with its interval, in points."""
    cell = compare({"exact": exact, "other": other}, metrics=["map"]).cell("other", "map")
    assert cell.difference is not None, "there is a baseline"
    assert cell.difference_interval is not None, "there is a baseline"
    low, high = cell.difference_interval
    return f"{100 * cell.difference:+.2f} ({100 * low:+.2f} … {100 * high:+.2f})"


if __name__ == "__main__":
    main()
