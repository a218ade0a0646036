"""The triplet scorer at its published size: arithmetic per pair, and pairs per second in three orders.

    python benchmarks/triplet.py                 # 64 queries per candidate, 577 image tokens, 20 words
    python benchmarks/triplet.py --queries 16 --rounds 2

Weights are random: speed and agreement need no trained ones. Orders:

naive            as published: a batch of pairs, text and keys computed for each pair, attention written out
                 with its softmax matrix, every token of the last layer
query-major      the same with this project's network and fused attention, first tokens alone in the last layer
candidate-major  candidate by candidate, its keys and values computed once for all its queries

The orders take turns, so that a busy machine slows all of them alike; the medians are shown.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.network import DualAttention, DualEncoder, split_heads
from rerankit.stages.triplet.packed import PackedScorer
from rerankit.stages.triplet.scoring import PairScorer, QueryStates


def flops_per_pair(sizes: TripletConfig, words: int, sharing: float) -> dict[str, float]:
    """Multiplications and additions of one pair where `sharing` pairs share a candidate."""
    d, width, up, tokens = sizes.hidden, sizes.width, sizes.intermediate, sizes.image_tokens
    keys = 2 * 2 * 2 * tokens * width * d  # key and value, two streams, per layer
    own = 2 * (4 * 2 * words * d * d + 2 * 2 * words * words * d)
    cross = 2 * (2 * 2 * words * d * d + 2 * 2 * words * tokens * d)
    feed = 2 * 2 * 2 * words * d * up
    merge = 2 * words * 2 * d * d
    merges = max(0, sizes.layers - sizes.merge_from) * merge
    plain_layer = own + cross + feed
    # The last layer asks for first tokens only, of the keys and values of all.
    saved = (1 - 1 / words) * (plain_layer + merge * bool(merges) - 2 * 2 * 2 * words * d * d)
    plain = sizes.layers * plain_layer + merges - saved
    # Folded: the outputs of both cross-attentions and their merge are one product.
    packed_layer = own + 2 * (2 * words * d * d + 4 * words * tokens * d) + 2 * words * 2 * d * d + feed
    last = packed_layer / words + 2 * (2 * 2 * words * d * d)
    packed = (sizes.layers - 1) * packed_layer + last
    return {
        "naive": plain + saved + sizes.layers * keys,
        "query-major": plain + sizes.layers * keys,
        "candidate-major": packed + sizes.layers * keys / sharing,
    }


def naive_attention(self: DualAttention, weights: torch.nn.Module, x: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """Attention written out: scores, softmax, product."""
    query, key, value = (
        split_heads(layer(given), self.heads)
        for layer, given in ((weights.query, x), (weights.key, source), (weights.value, source))
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + torch.where(mask, 0.0, -1e4)
    context = torch.softmax(scores, dim=-1) @ value
    return context.transpose(1, 2).flatten(2)


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
AGREEING = 8
"""Queries on which all orders are compared with each other."""


class Tokens:
    """The candidates' tokens."""

    def __init__(self, tokens: Tensor) -> None:
        self.array = tokens

    def tokens(self, columns: np.ndarray) -> Tensor:
        return self.array[torch.from_numpy(columns)]

    def missing(self, columns: np.ndarray) -> np.ndarray:
        return np.zeros(len(columns), bool)


class Case:
    """Networks and inputs of one measurement."""

    def __init__(self, sizes: TripletConfig, queries: int, words: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network = DualEncoder(sizes).eval()
        self.ids = torch.randint(1, sizes.vocabulary, (queries, words))
        self.mask = torch.ones_like(self.ids)
        self.states = torch.randn(queries, words, sizes.hidden)
        self.tokens = torch.randn(1, sizes.image_tokens, sizes.width)

    def query_major(self, rows: range) -> Tensor:
        """One batch of pairs as the published code makes it: every pair has its own text and its own tokens."""
        at = slice(rows.start, rows.stop)
        tokens = self.tokens.expand(len(rows), -1, -1)
        with torch.inference_mode():
            return self.network.pairs(self.states[at], self.ids[at], self.mask[at], tokens)

    def naive(self, rows: range) -> Tensor:
        fused, read_self = DualAttention.attend, DualAttention.read_self
        DualAttention.attend = naive_attention
        DualAttention.read_self = lambda self, streams, mask, first=False: read_self(self, streams, mask)
        try:
            return self.query_major(rows)
        finally:
            DualAttention.attend, DualAttention.read_self = fused, read_self

    def candidate_major(self, precision: str) -> Callable[[range], Tensor]:
        scorer = PackedScorer(self.network, precision)
        queries = QueryStates.from_padded(self.states, self.ids, self.mask)
        pairs = PairScorer(scorer, queries, Tokens(self.tokens))
        return lambda rows: torch.from_numpy(pairs.score(np.array(rows), np.zeros(len(rows), np.int64)))


def measure(
    runs: dict[str, tuple[Callable[[range], Tensor], int]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median seconds per pair of each run, taking turns."""
    for run, _ in runs.values():
        run(range(1))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, count) in runs.items():
            began = clock()
            run(range(count))
            seconds[name].append((clock() - began) / count)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=64, help="queries per candidate")
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow-pairs", type=int, default=8, help="pairs in a batch of the two slow orders")
    parser.add_argument("--threads", type=int, help="torch's own choice by default")
    parser.add_argument(
        "--clock", choices=sorted(CLOCKS), default="wall", help="cpu: all threads' time, for busy machines"
    )
    parser.add_argument("--out", help="write the figures as JSON")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    sizes = TripletConfig(vocabulary=1000)
    case = Case(sizes, given.queries, given.words)
    runs = {
        "naive": (case.naive, given.slow_pairs),
        "query-major": (case.query_major, given.slow_pairs),
        "candidate-major": (case.candidate_major("float32"), given.queries),
        "candidate-major bf16": (case.candidate_major("bf16"), given.queries),
        "candidate-major fp16": (case.candidate_major("fp16"), given.queries),
        "candidate-major int8": (case.candidate_major("int8"), given.queries),
    }
    exact = case.query_major(range(min(AGREEING, given.queries)))
    report = {"flops per pair": flops_per_pair(sizes, given.words, given.queries), "seconds per pair": {}}
    report["agreement"] = {name: agreement(run(range(len(exact))), exact) for name, (run, _) in runs.items()}
    report["seconds per pair"] = measure(runs, given.rounds, CLOCKS[given.clock])
    report["machine"] = {
        "clock": given.clock,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    show(report, given.queries)
    if given.out:
        with open(given.out, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


def agreement(scores: Tensor, exact: Tensor) -> dict[str, float]:
    """How far scores are from the plain ones: largest difference, and the correlation over queries."""
    difference = float((scores - exact).abs().max())
    together = float(torch.corrcoef(torch.stack([scores, exact]))[0, 1])
    return {"largest difference": difference, "correlation": together, "spread": float(exact.std())}


def show(report: dict, queries: int) -> None:
    """Print the figures."""
    for name, flops in report["flops per pair"].items():
        print(f"{name:22} {flops / 1e9:6.2f} GFLOP per pair ({queries} queries per candidate)")
    base = report["seconds per pair"]["naive"]
    machine = report["machine"]
    print(f"\n{machine['threads']} threads, {machine['clock']} time")
    print(f"{'order':22} {'ms/pair':>8} {'pairs/s':>8} {'× naive':>8} {'max |Δ|':>9} {'corr.':>8}")
    for name, seconds in report["seconds per pair"].items():
        near = report["agreement"][name]
        print(
            f"{name:22} {1e3 * seconds:8.1f} {1 / seconds:8.1f} {base / seconds:8.2f} "
            f"{near['largest difference']:9.1e} {near['correlation']:8.5f}"
        )


if __name__ == "__main__":
    main()
