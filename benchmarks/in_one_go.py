"""One query with a bank of vectors in one go: `rerank` in a new process, without `prepare`, next to a bare product.

    python benchmarks/in_one_go.py [--items 20000] [--bank 2000] [--width 256] [--turns 5] [--stages nnn …]

Every run is a process of its own, in which NumPy is imported and the vectors are drawn before the clock starts. Told is
processor time of all threads, the least of the turns: of the import and the first answer, of a second answer to a new
problem, and of the product of bank and items in single precision.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np
from rich.console import Console
from rich.table import Table

STAGES = ("nnn", "csls", "mutual-rank", "inverted-softmax", "qb-norm", "sinkhorn", "plan")
CLOCK = time.process_time
RUN = "import sys, in_one_go; in_one_go.run(sys.argv[1], *map(int, sys.argv[2:]))"


def run(name: str, items: int, bank: int, width: int) -> None:
    """Print the seconds of the first answer, of a second one and of the bare product."""
    random = np.random.default_rng(1)
    gallery, old, query = (random.standard_normal((n, width), dtype=np.float32) for n in (items, bank, 1))
    start = CLOCK()
    from rerankit import Problem, rerank

    seconds = []
    for _ in range(2):
        rerank(Problem.from_embeddings(query, gallery, query_bank=old), name, k=100)
        seconds.append(CLOCK() - start)
        start = CLOCK()
    np.matmul(old, gallery.T)
    print(json.dumps([*seconds, CLOCK() - start]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("--items", 20_000), ("--bank", 2_000), ("--width", 256), ("--turns", 5)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--stages", nargs="+", default=STAGES)
    given = parser.parse_args()
    from rerankit.measure import machine  # here: a run imports the package while its clock runs

    table = Table("stage", "import and first answer", "a second one", "bare product", title=machine()["cpu"])
    for name in given.stages:
        words = [sys.executable, "-c", RUN, name, *map(str, (given.items, given.bank, given.width))]
        turns = [json.loads(subprocess.check_output(words, cwd=sys.path[0])) for _ in range(given.turns)]
        table.add_row(name, *(f"{min(each):.2f}" for each in zip(*turns, strict=True)))
    Console().print(table)


if __name__ == "__main__":
    main()
