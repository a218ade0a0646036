"""Why `inverted-softmax` needs every score: how little the smallest votes of an item are, and what rounding would cost.

    python benchmarks/votes.py [--items 20000] [--queries 4000] [--width 512]

Of the vectors of `scale.py` it prints how large the smallest vote for an item is beside their sum, how many of the
queries make most of it, and how far the sums move where vectors are rounded to a grid on which products in single
precision are exact (whole numbers whose squares sum to about 2²⁴), the only cheaper product that has the same bits in
every block; and how long the same product takes in double precision, beside single precision.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import rerankit
from rerankit.arrays import AnyArray
from rerankit.stages.hubness.spread import fall_of
from scale import write_shards

_SHARES = (0.5, 0.9, 0.99, 0.9999)
_STEP = 2.0**-12


def votes_of(scores: AnyArray, beta: float) -> AnyArray:
    """Every query's softmax (queries, items), in double precision."""
    powers = np.exp(beta * (scores.astype(np.float64) - scores.max(axis=1, keepdims=True)))
    return powers / powers.sum(axis=1, keepdims=True)


def seconds(left: AnyArray, right: AnyArray) -> float:
    """Of the processor, for a product: the best of three."""
    found = []
    for _ in range(3):
        start = time.process_time()
        left @ right.T
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=4000)
    parser.add_argument("--width", type=int, default=512)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for seed, (name, count) in enumerate((("img_emb", given.items), ("text_emb", given.queries)), 1):
            write_shards(Path(folder) / name, count, given.width, seed)
        items, queries = (np.asarray(rerankit.read(Path(folder) / name)) for name in ("img_emb", "text_emb"))
    scores = rerankit.EmbeddingScores(queries, items)
    beta = 1.5 / fall_of(scores).resolution
    votes = votes_of(scores.rows(), beta)
    sums = votes.sum(axis=0)
    print(f"the smallest vote beside the sum: {np.median(votes.min(axis=0) / sums):.1e}, median of the items")
    made = np.cumsum(-np.sort(-votes[:, ::40], axis=0), axis=0) / sums[::40]
    for share in _SHARES:
        print(f"{share:.2%} of a sum is made by {np.mean(made < share):.2%} of the queries, the surest first")
    unit = [rerankit.scores.normalised(each.astype(np.float32)) for each in (queries, items)]
    left, right = (np.rint(each / np.float32(_STEP)) for each in unit)
    rounded = (left @ right.T) * np.float32(_STEP**2)
    moved = np.abs(votes_of(rounded, beta).sum(axis=0) / sums - 1)
    print(f"rounded to steps of {_STEP:g}, sums move by {np.median(moved):.1e}, at most {moved.max():.1e}")
    single, double = (seconds(*(each.astype(kind) for each in unit)) for kind in (np.float32, np.float64))
    print(f"a product in double precision takes {double / single:.2f} times as long as in single precision")


if __name__ == "__main__":
    main()
