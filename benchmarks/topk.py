"""Top-k of embeddings: rerankit's blocks against torch.topk over the same blocks, both with the product.

    python benchmarks/topk.py [--queries 10000] [--gallery 100000] [--width 64] [-k 100]

Wanted: at most 1.3 times torch's time, and under 1 GB above the inputs.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from rerankit import EmbeddingScores, settings
from rerankit.measure import Cost, machine, measure


def rerankit_topk(queries: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, Cost]:
    scores = EmbeddingScores(queries, gallery, "dot")
    with measure() as cost:
        indices, _ = scores.topk(k)
    return indices, cost


def torch_topk(queries: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, Cost]:
    left, right = torch.from_numpy(queries), torch.from_numpy(gallery)
    rows = max(1, settings.memory_budget() // (8 * len(gallery)))
    with measure() as cost:
        found = [torch.topk(left[at : at + rows] @ right.T, k).indices for at in range(0, len(left), rows)]
    return torch.cat(found).numpy(), cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("--queries", 10_000), ("--gallery", 100_000), ("--width", 64), ("-k", 100)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    queries = generator.standard_normal((given.queries, given.width), dtype=np.float32)
    gallery = generator.standard_normal((given.gallery, given.width), dtype=np.float32)
    contenders = {"rerankit": rerankit_topk, "torch.topk": torch_topk}
    runs = {name: [run(queries, gallery, given.k) for _ in range(given.repeats)] for name, run in contenders.items()}
    best = {name: min((cost for _, cost in found), key=lambda cost: cost.seconds) for name, found in runs.items()}
    table = Table("contender", "seconds", "peak MB", "against torch", title=f"top-{given.k}, {machine()['cpu']}")
    for name, cost in best.items():
        ratio = cost.seconds / best["torch.topk"].seconds
        table.add_row(name, f"{cost.seconds:.2f}", f"{cost.peak_bytes / 1e6:,.0f}", f"{ratio:.2f}×")
    Console().print(table)
    same = np.mean(runs["rerankit"][0][0] == runs["torch.topk"][0][0])
    Console().print(f"same item at the same place: {same:.4%} (the rest are equal up to rounding)")


if __name__ == "__main__":
    main()
