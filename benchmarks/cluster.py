"""How a run in shards would scale over machines: a model from measured costs, beside what two workers took.

    python benchmarks/cluster.py [--items 20000] [--queries 8000] [--width 256] [--shard-size 1000]
                                 [--of-items 1000000] [--of-queries 1000000] [--of-shard 4096] [--cores 16]
                                 [--network 1.25] [--disk 2.0]

A shard's seconds of the processor for each score, and what preparing takes for each, are measured here with one worker
and one thread. The model: the gallery is prepared once, in shards of its items; then shards of queries are handed out
in rounds, and each reads the gallery (half precision) over its own network (GB/s) from a disk that all machines share
(GB/s). Machines are alike, nothing fails, and a machine's processors speed a product up by their number. The last lines
say what one and two workers of this machine took by the clock, and what the same model says of them, were each a
processor that does nothing else.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from scale import write_shards

MACHINES = (1, 2, 4, 8, 16, 32, 64)
WORTH = 1.3  # doubling the machines must give so much


class Costs(NamedTuple):
    """What was measured: seconds of the processor for a score of a shard and of what is prepared, seconds to begin."""

    shard: float
    prepared: float
    begin: float


class Run(NamedTuple):
    """A run on machines: sizes, processors of a machine, and speeds in bytes a second."""

    queries: int
    items: int
    width: int
    bank: int
    size: int
    cores: float
    network: float
    disk: float

    def seconds(self, machines: int, costs: Costs) -> tuple[float, str]:
        """What the run takes, and what takes the longest."""
        shards = math.ceil(self.queries / self.size)
        rounds = math.ceil(shards / machines)
        vectors = 2 * self.items * self.width
        reading = vectors / min(self.network, self.disk / min(machines, shards))
        prepared_by = min(machines, math.ceil(self.items / self.size))
        parts = {
            "products": rounds * self.size * self.items * costs.shard / self.cores,
            "storage": rounds * reading,
            "preparing": self.bank * self.items * costs.prepared / self.cores / prepared_by,
            "start": costs.begin,
        }
        return sum(parts.values()), max(parts, key=lambda name: parts[name])


def work(problem: Any, workers: int, size: int, engine: Any) -> float:
    """Seconds by the clock of a run in shards."""
    import rerankit

    start = time.perf_counter()
    rerankit.rerank(problem, "nnn", engine=engine(workers=workers), shard_size=size)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"--items": 20_000, "--queries": 8000, "--width": 256, "--shard-size": 1000, "--bank": 2048}
    whole = {"--of-items": 1_000_000, "--of-queries": 1_000_000, "--of-shard": 4096, "--cores": 16}
    for name, value in {**sizes, **whole}.items():
        parser.add_argument(name, type=int, default=value)
    for name, speed in {"--network": 1.25, "--disk": 2.0}.items():
        parser.add_argument(name, type=float, default=speed)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # before numpy's library starts its threads in workers
    with tempfile.TemporaryDirectory() as folder:
        measured(given, Path(folder))


def measured(given: argparse.Namespace, folder: Path) -> None:
    """Measure here, then print the model and what it says of the same run here."""
    import rerankit
    from rerankit.engines import Local

    for seed, (name, count) in enumerate({"text_emb": given.queries, "img_emb": given.items}.items()):
        write_shards(folder / name, count, given.width, seed)
    bank = np.asarray(rerankit.read(folder / "text_emb"))[: given.bank]
    vectors = (rerankit.read(folder / name) for name in ("text_emb", "img_emb"))
    problem = rerankit.Problem.from_embeddings(*vectors, query_bank=bank)
    start = time.process_time()
    ready = rerankit.prepare("nnn", rerankit.Gallery.of(problem))
    prepared = (time.process_time() - start) / (given.bank * given.items)
    part = problem.subset(queries=np.arange(given.shard_size))
    start = time.process_time()
    ready.answer(part, part.ranking(100))
    shard = (time.process_time() - start) / (given.shard_size * given.items)
    print(f"measured: {shard * 1e9:.1f} ns of the processor a score, {prepared * 1e9:.1f} ns to prepare one")
    speeds = given.network * 1e9, given.disk * 1e9
    run = Run(given.of_queries, given.of_items, given.width, given.bank, given.of_shard, given.cores, *speeds)
    table(run, Costs(shard, prepared, 5.0))
    compared(given, problem, Costs(shard, prepared, 0.0), Local)


def table(run: Run, costs: Costs) -> None:
    """The model over machines."""
    print(f"model: {run.queries:,} × {run.items:,}, machines of {run.cores:.0f} processors")
    took = {machines: run.seconds(machines, costs) for machines in MACHINES}
    for machines, (seconds, longest) in took.items():
        gain = took[1][0] / seconds
        print(
            f"{machines:>3} machines {seconds:9.0f} s  {gain:5.1f} × one  {gain / machines:4.0%} of each  "
            f"most: {longest}"
        )
    ends = [one for one, two in pairwise(MACHINES) if took[one][0] < WORTH * took[two][0]]
    print(f"stops scaling (twice the machines give less than {WORTH} ×): {f'at {ends[0]}' if ends else 'not up to 64'}")


def compared(given: argparse.Namespace, problem: Any, costs: Costs, engine: Any) -> None:
    """What workers of this machine took, and what the model says, with the first one's start for both."""
    took = {workers: work(problem, workers, given.shard_size, engine) for workers in (1, 2)}
    for workers, seconds in took.items():
        here = Run(given.queries, given.items, given.width, given.bank, given.shard_size, 1, np.inf, np.inf)
        model = here.seconds(workers, costs)[0]
        print(
            f"{workers} workers here: {seconds:.1f} s by the clock, the model {model:.1f} s; "
            f"load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main()
