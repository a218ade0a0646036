"""The pillar reasoner from four matrices to rankings, both directions, against the naive form.

    OMP_NUM_THREADS=2 python benchmarks/pillar.py                     # 1,000 × 5,000, published size
    OMP_NUM_THREADS=2 python benchmarks/pillar.py --stage pillar-small
    OMP_NUM_THREADS=2 python benchmarks/pillar.py --queries 5000 --gallery 25000 --naive 0

Weights are random: speed and agreement need no trained ones. The naive form (pillar_naive.py) is timed on a few
queries of each direction, chosen at random, and its time is scaled to all; its scores must agree within 1e-5.
The message-passing form is timed on a part of the queries, beside the dense form on the same part.

Wanted for 1,000 × 5,000 on two cores: under 25 s, of which pillars and graphs 1.5 s; peak under 2 GB; the small preset
under 5 s; 5,000 × 25,000 within 5.5 times that; on a GPU 5,000 × 25,000 under 3 s.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import pillar_naive
import rerankit
from rerankit.measure import machine, measure
from rerankit.scores import blocks
from rerankit.stages.pillar.inference import batch_of
from rerankit.stages.pillar.relations import Relations
from rerankit.stages.pillar.representation import PillarSpace


def problem_of(queries: int, gallery: int, width: int = 64) -> rerankit.Problem:
    """Four dense matrices: images, and texts as noisy copies of them."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((queries, width), dtype=np.float32)
    texts = images[np.arange(gallery) % queries] + 2 * generator.standard_normal((gallery, width), dtype=np.float32)
    given = rerankit.Problem.from_embeddings(images, texts)
    return rerankit.Problem(
        given.scores.rows(), query_scores=given.query_scores.rows(), gallery_scores=given.gallery_scores.rows()
    )


def random_stage(name: str, **params: Any) -> Any:
    stage = rerankit.stage(name, **params)
    torch.manual_seed(0)
    stage.set_weights({key: tensor.numpy() for key, tensor in stage.build().state_dict().items()})
    return stage


def sides(problem: rerankit.Problem, stage: Any) -> list[tuple[Any, rerankit.Problem, np.ndarray]]:
    """Both directions as (stage, problem, candidates)."""
    found = []
    for at, (made, given) in enumerate(((stage, problem), (stage.reversed(), problem.reversed()))):
        found.append((made, given, given.ranking(stage.candidates[at]).indices))
    return found


def build_seconds(problem: rerankit.Problem, stage: Any) -> float:
    """Everything before the networks: nearest items, pillar similarities, graphs, for both directions."""
    start = time.perf_counter()
    spaces = PillarSpace.both(Relations.of(problem), stage.pillars, stage.neighbours)
    for at, (space, (_, _, candidates)) in enumerate(zip(spaces, sides(problem, stage), strict=True)):
        for block in blocks(len(candidates), candidates.shape[1] * stage.pillars * 32):
            rows = np.arange(block.start, block.stop)
            batch_of(space, rows, candidates[rows], stage.threshold[at], torch.device("cpu"))
    return time.perf_counter() - start


def naive_seconds(problem: rerankit.Problem, stage: Any, count: int) -> tuple[float, float]:
    """Seconds of the naive form for all queries, scaled from `count` a direction, and the largest difference."""
    seconds, difference = 0.0, 0.0
    for at, (made, given, candidates) in enumerate(sides(problem, stage)):
        prefix = f"model_{made.direction}."
        state = {k.removeprefix(prefix): torch.tensor(v) for k, v in made.get_weights().items() if prefix in k}
        matrices = given.scores.rows(), given.query_scores.rows(), given.gallery_scores.rows()
        rows = np.random.default_rng(1).choice(len(candidates), count, replace=False)
        ours = made.rescore(given, given.ranking(candidates.shape[1]))[rows]
        start = time.perf_counter()
        for row, expected in zip(rows, ours, strict=True):
            x = torch.tensor(pillar_naive.describe(*matrices, row, candidates.shape[1], made.pillars))
            wanted = row, candidates.shape[1], made.neighbours, made.threshold[at]
            graph = torch.tensor(pillar_naive.graph(*matrices, *wanted))
            with torch.no_grad():
                found = pillar_naive.network_scores(state, x, graph, made.heads)
            difference = max(difference, float(np.abs(found.numpy() - expected).max()))
        seconds += (time.perf_counter() - start) / count * len(candidates)
    return seconds, difference


def form_seconds(problem: rerankit.Problem, stage: Any, form: str, count: int) -> float:
    """Seconds of one form for `count` queries of each direction."""
    seconds = 0.0
    for made, given, candidates in sides(problem, stage.clone(form=form)):
        part = given.ranking(candidates.shape[1])
        head = rerankit.Ranking(part.indices[:count], part.scores[:count], gallery_size=part.gallery_size)
        space = PillarSpace.of(Relations.of(given), made.pillars, made.neighbours)
        made._score(space, head)  # the first call builds the network
        start = time.perf_counter()
        made._score(space, head)
        seconds += time.perf_counter() - start
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--gallery", type=int, default=5000)
    parser.add_argument("--stage", default="pillar", choices=("pillar", "pillar-small"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--naive", type=int, default=8, help="queries of each direction for the naive form; 0: none")
    parser.add_argument("--forms", type=int, default=256, help="queries of each direction to compare forms; 0: none")
    given = parser.parse_args()
    problem = problem_of(given.queries, given.gallery)
    stage = random_stage(given.stage, device=given.device, precision=given.precision)
    title = f"{given.stage}, {given.queries:,} × {given.gallery:,}, {given.device}, {machine()['cpu']}"
    table = Table("what", "seconds", "peak MB", title=title)
    table.add_row("pillars and graphs, both directions", f"{build_seconds(problem, stage):.2f}", "")
    with measure() as cost:
        stage.rerank_both(problem)
    table.add_row("matrices to rankings, both directions", f"{cost.seconds:.2f}", f"{cost.peak_bytes / 1e6:,.0f}")
    if given.naive:
        seconds, difference = naive_seconds(problem, stage, given.naive)
        table.add_row(f"naive, scaled from {given.naive} queries a direction", f"{seconds:.1f}", "")
    if given.forms:
        for form in ("dense", "graph"):
            name = f"form '{form}', {given.forms} queries a direction"
            table.add_row(name, f"{form_seconds(problem, stage, form, given.forms):.2f}", "")
    Console().print(table)
    if given.naive:
        Console().print(f"largest difference from the naive form: {difference:.1e}")


if __name__ == "__main__":
    main()
