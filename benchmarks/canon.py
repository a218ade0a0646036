"""The training-free stages against the plain dense forms (naive.py), both contenders in one run.

    OMP_NUM_THREADS=2 python benchmarks/canon.py                    # everything, some minutes
    OMP_NUM_THREADS=2 python benchmarks/canon.py hubness diffusion  # some parts
    OMP_NUM_THREADS=2 python benchmarks/canon.py --shrink 5         # sizes divided by five, for a quick look
    OMP_NUM_THREADS=2 python benchmarks/canon.py memory --plot docs/images/canon-memory.png

Data are made: unit vectors of `people`, each seen about twenty times, with noise. Seconds and peak memory (above what
was held before) come from `rerankit.measure`, as does the speed of a matrix product beside them: where embeddings
are given, the similarity product is part of a stage's time. "CPU s" is processor time of all cores, which is what
to compare on a machine that does other things too. Naive and fast scores are compared in the same run.

Wanted on two cores: k-reciprocal 5,000 + 5,000 under 2 s and 0.5 GB, 1,500 × 8,000 under 1 s, 30,000 from embeddings
under 60 s and 4 GB; gnn within twice that; the hubness family on 5,000 × 25,000 within three passes over the matrix;
diffusion on 20,000 items under 10 s for 1,000 queries after the graph.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import naive
import rerankit
from rerankit import Problem, stage
from rerankit.measure import machine, measure
from rerankit.plots import Theme, save_pair
from rerankit.stages.neighbours import diffusion
from rerankit.threads import in_threads

CONSOLE = Console(width=140)
HUBNESS = {
    "inverted-softmax": naive.inverted_softmax,
    "qb-norm": naive.qb_norm,
    "dual-softmax": naive.dual_softmax,
    "csls": naive.csls,
    "nnn": naive.nnn,
    "dual-is": None,  # the same as inverted-softmax, twice
}


@dataclass
class Run:
    """What one piece of work cost, and what it made."""

    seconds: float
    processor: float
    peak: int
    made: Any


def matrix_speed(size: int = 2048, repeats: int = 3) -> float:
    """FLOP/s of a float32 matrix product on this machine's CPU, the best of a few runs."""
    matrix = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def timed(work: Callable[[], Any]) -> Run:
    start = time.process_time()
    with measure() as cost:
        made = work()
    return Run(cost.seconds, time.process_time() - start, cost.peak_bytes, made)


def people(queries: int, gallery: int, width: int = 128, seen: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of both sides, about `seen` of each person."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((max(2, (queries + gallery) // seen), width), dtype=np.float32)
    sides = [centres[random.integers(len(centres), size=count)] for count in (queries, gallery)]
    sides = [side + random.standard_normal(side.shape, dtype=np.float32) for side in sides]
    one, other = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    return one, other


def table(title: str) -> Table:
    return Table("size", "contender", "seconds", "CPU s", "peak MB", "agreement", title=title, title_justify="left")


def add(rows: Table, size: str, contender: str, run: Run, agreement: str = "") -> None:
    cells = (*(f"{x:.{2 if x >= 1 else 3}f}" for x in (run.seconds, run.processor)), f"{run.peak / 1e6:,.0f}")
    rows.add_row(size, contender, *cells, agreement)
    CONSOLE.print(f"{size}, {contender}: {cells[0]} s, {cells[1]} CPU s, {cells[2]} MB {agreement}", style="dim")


def worst(found: np.ndarray, expected: np.ndarray) -> str:
    return f"within {np.abs(found - expected).max():.0e}"


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(2 - 2 * one @ other.T, 0))


def neighbour_graphs(shrink: int) -> Table:
    """k-reciprocal and gnn: whole galleries re-ranked by both contenders."""
    rows = table("k-reciprocal and gnn, from embeddings of width 128")
    for queries, gallery in ((1_500, 8_000), (5_000, 5_000)):
        both_contenders(rows, *people(queries // shrink, gallery // shrink))
    one, other = people(3_000 // shrink, 27_000 // shrink, width=256)
    problem = Problem.from_embeddings(one, other)
    few = problem.ranking(100)
    size = f"{len(one):,} × {len(other):,}, width 256"
    for name in ("k-reciprocal", "gnn"):
        add(rows, size, f"{name}, 100 candidates", timed(lambda n=name: stage(n).rescore(problem, few)))
    return rows


def both_contenders(rows: Table, one: np.ndarray, other: np.ndarray) -> None:
    """Fast and naive forms over the whole gallery, and the fast ones over 100 candidates."""
    size = f"{len(one):,} × {len(other):,}"
    problem = Problem.from_embeddings(one, other)
    every = np.concatenate([one, other])
    dense = {
        "k-reciprocal": lambda: (
            -naive.k_reciprocal(distances(one, other), distances(one, one), distances(other, other))
        ),
        "gnn": lambda: naive.gnn(every @ every.T, len(one)),
    }
    few, first = problem.ranking(100), problem.ranking()
    for name, contender in dense.items():
        add(rows, size, f"{name}, 100 candidates", timed(lambda n=name: stage(n).rescore(problem, few)))
        found = timed(lambda n=name: stage(n, align=False, strength=1).rescore(problem, first))
        plain = timed(contender)
        add(rows, size, name, found, worst(found.made, np.take_along_axis(plain.made, first.indices, axis=1)))
        add(rows, size, f"{name}, naive dense", plain)


def in_blocks(work: Callable[[np.ndarray, np.ndarray], Any], scores: np.ndarray) -> None:
    """`work(rows, room)` on 8 rows at a time, in threads, as the stages read a matrix; kept nowhere."""

    def one(at: int) -> None:
        room = np.empty((8, scores.shape[1]), np.float32)
        for row in range(at, min(at + 128, len(scores)), 8):
            part = scores[row : row + 8]
            work(part, room[: len(part)])

    in_threads(one, range(0, len(scores), 128))


def in_turns(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, Run]:
    """The fastest run of each contender, with the most memory of all its runs.

    They take turns: tenths of a second are not to be had from one run, and a slow moment of the machine would
    otherwise hit one of them.
    """
    runs: dict[str, Run] = {}
    for _ in range(rounds):
        for name, work in contenders.items():
            run, before = timed(work), runs.get(name)
            if before is not None:
                run.seconds, run.processor = min((run.seconds, run.processor), (before.seconds, before.processor))
                run.peak = max(run.peak, before.peak)
            runs[name] = run
    return runs


def hubness(shrink: int) -> Table:
    """The hubness family on a matrix, in passes over it: beside reading every cell once, by one core (one call of
    numpy) and by all in blocks, and beside one exponential of every cell in blocks.
    """
    queries, gallery = 5_000 // shrink, 25_000 // shrink
    rows = table(f"hubness family on a matrix {queries:,} × {gallery:,}, 100 candidates")
    random = np.random.default_rng(0)
    scores = random.standard_normal((queries, gallery), dtype=np.float32) / 5
    problem = Problem(scores, gallery_bank=rerankit.Bank(to_gallery=scores))
    first = problem.ranking(100)
    size = f"{scores.nbytes / 1e6:,.0f} MB"
    passes = {
        "one pass: row maxima, one call": lambda: scores.max(axis=1),
        "one pass: row maxima, all cores": lambda: in_blocks(lambda part, _: part.max(axis=1), scores),
        "one pass: exp(β s), all cores": lambda: in_blocks(
            lambda part, room: np.exp(np.multiply(part, np.float32(20), out=room), out=room), scores
        ),
    }
    made = {name: stage(name, gallery="bank") if name == "dual-is" else stage(name) for name in HUBNESS}
    stages = {name: partial(one.rescore, problem, first) for name, one in made.items()}
    runs = in_turns(passes | stages, rounds=15)
    for name in passes:
        add(rows, size, name, runs[name])
    for name, contender in HUBNESS.items():
        share = " / ".join(f"{runs[name].seconds / runs[unit].seconds:.1f}" for unit in passes)
        agreement = ""
        if contender is not None:
            plain = timed(partial(contender, scores))
            agreement = ", " + worst(runs[name].made, np.take_along_axis(plain.made, first.indices, axis=1))
            plain.made = None
            add(rows, size, f"{name}, naive", plain)
        add(rows, size, name, runs[name], f"{share} passes{agreement}")
    for name, params in (
        ("mutual-rank", {}),
        ("mutual-neighbours", {}),
        ("sinkhorn", {}),
        ("sinkhorn", {"cells_kept": None}),
    ):
        title = f"{name}, all cells" if params else name
        add(rows, size, title, timed(lambda n=name, p=params: stage(n, **p).rescore(problem, first)))
    return rows


def spreading(shrink: int) -> Table:
    """Diffusion over 20,000 items, and expansion beside it."""
    queries, gallery = 1_000 // shrink, 20_000 // shrink
    rows = table(f"diffusion and expansion, {queries:,} × {gallery:,}, width 512, 100 candidates")
    one, other = people(queries, gallery, width=512)
    problem = Problem.from_embeddings(one, other)
    first = problem.ranking(100)
    size = f"{queries:,} × {gallery:,}"
    made = stage("diffusion")
    graph = timed(lambda: diffusion.normalised_graph(problem.gallery_scores, 50, 3.0))
    add(rows, size, "diffusion: graph", graph)
    sources = made._sources(problem, None)
    add(rows, size, "diffusion: all queries", timed(lambda: made._solved(graph.made, sources, first.indices)))
    add(rows, size, "diffusion, offline 200", timed(lambda: stage("diffusion", truncation=200).rescore(problem, first)))
    for name in ("alpha-qe", "dba"):
        add(rows, size, name, timed(lambda n=name: stage(n).rescore(problem, first)))
    few, many = people(50, 2_000, width=512)
    small = Problem.from_embeddings(few, many)
    found = timed(lambda: rerankit.rerank(small, stage("diffusion", iterations=300, strength=1), k=None))
    plain = timed(lambda: naive.diffusion(few @ many.T, many @ many.T))
    agreement = worst(np.maximum(found.made.to_dense(), 0) / plain.made.max(), plain.made / plain.made.max())
    add(rows, "50 × 2,000", "diffusion", found, agreement)
    add(rows, "50 × 2,000", "diffusion, naive inverse", plain)
    return rows


def memory(shrink: int, plot: Path | None) -> Table:
    """k-reciprocal and gnn with 100 candidates per query as the number of items doubles.

    Each in a process of its own: what an earlier run gave back would hide what a later one takes.
    """
    rows = table("memory of k-reciprocal and gnn, a tenth of the items are queries, width 64, budget 64 MB")
    peaks: dict[str, list[tuple[int, float]]] = {"k-reciprocal": [], "gnn": []}
    for count in (5_000, 10_000, 20_000, 40_000):
        for name, found in peaks.items():
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                run = alone.submit(few_candidates, name, count // shrink).result()
            found.append((count // shrink, run.peak / 1e6))
            add(rows, f"{count // shrink:,} items", name, run)
    if plot is not None:
        save_pair(partial(draw, peaks), plot, (6.4, 4.0))
    return rows


def few_candidates(name: str, items: int) -> Run:
    """A stage on 100 candidates for each of a tenth of the items."""
    problem = Problem.from_embeddings(*people(items // 10, items * 9 // 10, width=64))
    first = problem.ranking(100)
    with rerankit.settings.using(memory_budget="64MB"):
        run = timed(lambda: stage(name).rescore(problem, first))
    run.made = None
    return run


def draw(peaks: dict[str, list[tuple[int, float]]], figure: Any, theme: Theme) -> None:
    """Peak memory against items, beside the three matrices (items, items) that dense forms hold."""
    axes = figure.subplots()
    for (name, found), marker in zip(peaks.items(), "os", strict=True):
        axes.plot(*zip(*found, strict=True), marker=marker, label=name)
    items = np.array([count for count, _ in peaks["k-reciprocal"]])
    axes.plot(items, items**2 * 4 * 3 / 1e6, linestyle="--", color=theme.muted, label="three dense matrices, items²")
    axes.set(xscale="log", yscale="log", xlabel="items (queries + gallery)", ylabel="peak memory above the input, MB")
    axes.set_xticks(items, [f"{count:,}" for count in items], minor=False)
    axes.minorticks_off()
    axes.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="neighbours, hubness, diffusion, memory (all by default)")
    parser.add_argument("--shrink", type=int, default=1, help="divide all sizes by this")
    parser.add_argument("--plot", type=Path, help="where to save the memory plot")
    given = parser.parse_args()
    parts = {
        "neighbours": neighbour_graphs,
        "hubness": hubness,
        "diffusion": spreading,
        "memory": lambda shrink: memory(shrink, given.plot),
    }
    found = machine()
    CONSOLE.print(f"{found['cpu']}, {found['cores']} cores, product {matrix_speed() / 1e9:.0f} GFLOP/s", style="bold")
    for name in given.parts or parts:
        CONSOLE.print(parts[name](given.shrink))


if __name__ == "__main__":
    main()
