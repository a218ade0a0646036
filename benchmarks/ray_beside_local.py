"""A run in shards on two workers: the local engine beside Ray on this machine.

    python benchmarks/ray_beside_local.py [--items 100000] [--queries 32768] [--width 512] [--stage nnn] [--bank 2048]
                                 [--shard-size 4096] [--workers 2] [--turns 2] [--folder KEPT]

From files of half precision; engines take turns, each in a process of its own, from reading the files to the ranking.
Every line says seconds by the clock and how many of them passed until Ray answered; the last one compares the best
turns. Workers use one thread each, since there are as many as processors. Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from scale import write_shards

ENGINES = ("local", "ray")


def timed_ray(workers: int) -> Any:
    """The engine, which notes how long Ray took to answer."""
    from rerankit.engines.ray import Ray

    class Timed(Ray):
        began = 0.0

        def _connect(self, ray: Any) -> None:
            start = time.perf_counter()
            super()._connect(ray)
            self.began += time.perf_counter() - start

    return Timed(workers=workers)


def one(name: str, folder: Path, stage: str, bank: int, size: int, workers: int) -> dict[str, Any]:
    """A run in this process."""
    import rerankit
    from rerankit.engines import Local

    queries = rerankit.read(folder / "text_emb")
    known = np.asarray(rerankit.read(folder / "bank"))[:bank]
    problem = rerankit.Problem.from_embeddings(queries, rerankit.read(folder / "img_emb"), query_bank=known)
    engine = Local(workers=workers) if name == "local" else timed_ray(workers)
    start = time.perf_counter()
    ranking = rerankit.rerank(problem, stage, k=100, engine=engine, shard_size=size)
    took = time.perf_counter() - start
    digest = hashlib.sha256(ranking.indices.tobytes() + ranking.scores.tobytes()).hexdigest()
    return {"engine": name, "seconds": took, "began": getattr(engine, "began", 0.0), "digest": digest}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        name, folder, stage, *numbers = sys.argv[2:]
        print(json.dumps(one(name, Path(folder), stage, *map(int, numbers))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"items": 100_000, "queries": 32_768, "width": 512, "bank": 2048, "shard-size": 4096, "workers": 2}
    for word, value in {**sizes, "turns": 2}.items():
        parser.add_argument(f"--{word}", type=int, default=value)
    parser.add_argument("--stage", default="nnn")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        compare(given, given.folder or Path(temporary))


def compare(given: argparse.Namespace, folder: Path) -> None:
    """Write the files, let the engines take turns."""
    counts = {"img_emb": given.items, "text_emb": given.queries, "bank": given.bank}
    for seed, (name, count) in enumerate(counts.items(), start=1):
        if not (folder / name).exists():
            write_shards(folder / name, count, given.width, seed)
    print(f"{given.stage}: {given.queries:,} × {given.items:,} × {given.width}, {given.workers} workers")
    found = [measured(given, folder, name) for _ in range(given.turns) for name in ENGINES]
    of_each = [[line for line in found if line["engine"] == name] for name in ENGINES]
    local, ray = (min(several, key=lambda line: line["seconds"]) for several in of_each)
    once = ray["seconds"] - ray["began"]
    same = len({line["digest"] for line in found}) == 1
    print(
        f"ray is {ray['seconds'] / local['seconds']:.2f} × local, {once / local['seconds']:.2f} × once it answers; "
        f"the same bits: {same}"
    )


def measured(given: argparse.Namespace, folder: Path, name: str) -> dict[str, Any]:
    """A line, from a process of its own."""
    numbers = map(str, (given.bank, given.shard_size, given.workers))
    command = [sys.executable, __file__, "--one", name, str(folder), given.stage, *numbers]
    # Ray gives its workers way to all other work of the machine, which would be compared, too.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    began = f", {line['began']:.1f} s of them until Ray answered" if name == "ray" else ""
    print(f"{name:<6}{line['seconds']:8.1f} s{began}, load {os.getloadavg()[0]:.1f}", flush=True)
    return line


if __name__ == "__main__":
    main()
