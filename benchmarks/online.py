"""What one query costs at a gallery that stands ready, next to a bare product and `argpartition`.

    python benchmarks/online.py [--items 10000 100000] [--bank 20000] [--width 512] [--turns 50] [--stages nnn …]

For every stage and every number of items: seconds to prepare it, milliseconds of one query with 100 candidates given,
right after a search that has emptied the processor's caches and once more for the next query, and of one that is
searched (median and 99th percentile), and how many times the median of the bare product the searched query takes.
Then what saving, loading and adding a hundredth of the items cost. The floor of candidates that are given is their
bare product with the query, which reads their vectors, and what a pipeline without a stage costs, in which query and
candidates are checked and brought into a ranking; that of a search is the product with all items and `argpartition`,
and that of `pillar` its own network. Everything is measured in one run, in turns, so that ratios hold on a machine
that does other work, too; where candidates are given, processor time of all threads is told: others lengthen it by
what they take of the caches alone. Graphs and pillars have a second row, where candidates are said to be the nearest of
all items (`nearest=True`). Graphs of all items (`GRAPHS`) take long to prepare beyond some 10,000 items.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from rerankit import Gallery, Pipeline, Ready, load, prepare, stage
from rerankit.measure import machine
from rerankit.pipelines.stage import Stage


def pillar(name: str) -> Stage:
    """A reasoner with weights drawn at random, which cost what others do."""
    made: Any = stage(name)
    made.set_weights({name: tensor.numpy() for name, tensor in made.build().state_dict().items()})
    fitted: Stage = made
    return fitted


ITEMS = (
    *("nnn", "csls", "inverted-softmax", "dual-softmax", "qb-norm", "sinkhorn"),
    *("mutual-rank", "mutual-neighbours", "plan"),
)
GRAPHS = ("k-reciprocal", "gnn", "diffusion", "dba", "alpha-qe")
PILLARS = ("pillar-small", "pillar")
STAGES: dict[str, Callable[[], Stage]] = {
    **{name: (lambda name=name: stage(name)) for name in (*ITEMS, *GRAPHS)},  # type: ignore[misc]
    "fuse of two": lambda: stage("fuse", sources=["ranking", stage("nnn"), stage("sinkhorn")]),
    **{name: (lambda name=name: pillar(name)) for name in PILLARS},  # type: ignore[misc]
}


def network(name: str) -> Callable[[int], Any]:
    """What a reasoner's network alone does for one query."""
    import torch

    made: Any = pillar(name)
    inside, nodes = made.network, 1 + made.candidates[0]
    inputs = torch.randn(1, nodes, 2 * made.pillars), torch.rand(1, nodes, nodes)

    def one(_: int) -> Any:
        with torch.inference_mode():
            return inside(*inputs)

    return one


def vectors(random: np.random.Generator, centres: np.ndarray, count: int) -> np.ndarray:
    """Vectors (count, width) around some centres, as those of a network lie."""
    around = centres[random.integers(0, len(centres), count)]
    return (around + 1.5 * random.standard_normal(around.shape, dtype=np.float32)).astype(np.float32)


def once(work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Any]:
    """Seconds, and what came out."""
    start = clock()
    found = work()
    return clock() - start, found


ALONE = ("pairs", "given", "again", "given, nearest", "again, nearest", "network")


def in_turns(works: dict[str, Callable[[int], Any]], turns: int) -> dict[str, np.ndarray]:
    """Milliseconds (turns,) of each; they take turns, so that a slow moment of the machine hits all of them. Those of
    `ALONE` are processor time.
    """
    for work in works.values():
        work(0)
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns):
        for name, work in works.items():
            clock = time.process_time if name in ALONE else time.perf_counter
            times[name].append(once(lambda work=work, turn=turn: work(turn), clock)[0])  # type: ignore[misc]
    return {name: 1000 * np.array(each) for name, each in times.items()}


def shown(times: np.ndarray) -> str:
    """Median and 99th percentile."""
    return f"{np.median(times):.2f} / {np.percentile(times, 99):.2f}"


def growth(ready: Ready, more: Gallery, prepared: float) -> tuple[str, str]:
    """Seconds to save and to load, and to add some items as a share of the preparation."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "ready"
        saved = once(lambda: ready.save(place))[0]
        loaded = min(once(lambda: load(place))[0] for _ in range(3))
    alone = ready.info()[0]["update"] == "its items alone"
    added = min(once(lambda: ready.updated(add=more))[0] for _ in range(3)) if alone else np.nan
    share = "again" if np.isnan(added) else f"{added:.2f} s, {100 * added / prepared:.1f} %"
    return f"{saved:.1f} s / {1000 * loaded:.0f} ms", share


def measured(names: Sequence[str], items: int, bank: int, width: int, turns: int, table: Table) -> None:
    """A row for every stage."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((max(2, items // 200), width), dtype=np.float32)
    gallery_vectors, old, queries, more = (vectors(random, centres, n) for n in (items, bank, turns, items // 100))
    unit = gallery_vectors / np.linalg.norm(gallery_vectors, axis=1, keepdims=True)
    gallery = Gallery(gallery_vectors, bank=old)
    first = gallery.ranking(gallery.problem(queries))
    plain = in_turns(
        {
            "bare": lambda turn: np.argpartition(unit @ queries[turn], -100)[-100:],
            "search": lambda turn: gallery.ranking(gallery.problem(queries[turn])),
            "pairs": lambda turn: unit[first.indices[turn]] @ queries[turn],
        },
        turns,
    )
    ratio = f"{np.median(plain['search'] / plain['bare']):.2f}"
    table.add_section()
    ready = prepare(Pipeline([]), gallery)

    def unchanged(turn: int) -> Any:
        return ready.rerank(queries[turn], candidates=first.indices[turn], scores=first.scores[turn])

    floor = in_turns(
        {
            "bare": lambda turn: unit @ queries[turn],
            "given": unchanged,
            "again": lambda turn: unchanged((turn + 1) % turns),
        },
        turns,
    )
    bare = shown(plain["pairs"]), "", shown(plain["bare"])
    table.add_row(f"{items:,} items: bare products", "", *bare, "1", "", "")
    table.add_row("no stage", "", shown(floor["given"]), shown(floor["again"]), "", "", "", "")
    table.add_row(f"(100 vectors of {width}: {100 * width * 4 / 1000:.0f} kB)", *[""] * 7)
    table.add_row("exact search", "", "", "", shown(plain["search"]), ratio, "", "")
    for name in names:
        alone = {"network": network(name)} if name in PILLARS else {}
        prepared, ready = once(lambda name=name: prepare(STAGES[name](), gallery))  # type: ignore[misc]

        def given(turn: int, ready: Ready = ready, nearest: bool = False) -> Any:
            lists = {"candidates": first.indices[turn], "scores": first.scores[turn]}
            return ready.rerank(queries[turn], **lists, nearest=nearest)

        if name in (*GRAPHS, *PILLARS):
            alone["given, nearest"] = lambda turn, given=given: given(turn, nearest=True)
            alone["again, nearest"] = lambda turn, given=given: given((turn + 1) % turns, nearest=True)
        times = in_turns(
            {
                "bare": lambda turn: np.argpartition(unit @ queries[turn], -100)[-100:],
                "given": given,
                "again": lambda turn, given=given: given((turn + 1) % turns),  # type: ignore[misc]
                "searched": lambda turn, ready=ready: ready.rerank(queries[turn]),  # type: ignore[misc]
                **alone,
            },
            turns,
        )
        ratio = f"{np.median(times['searched'] / times['bare']):.2f}"
        kept, added = growth(ready, Gallery(more), prepared)
        cells = shown(times["given"]), shown(times["again"]), shown(times["searched"]), ratio, kept, added
        table.add_row(name, f"{prepared:.1f}", *cells)
        if "given, nearest" in times:
            told = shown(times["given, nearest"]), shown(times["again, nearest"])
            table.add_row("the nearest of all", "", *told, "", "", "", "")
        if "network" in times:
            table.add_row("its network alone", "", shown(times["network"]), "", "", "", "", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[100_000])
    for name, default in (("--bank", 20_000), ("--width", 512), ("--turns", 50)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    given = parser.parse_args()
    title = f"items of width {given.width}, a bank of {given.bank:,}, {machine()['cpu']}, load {os.getloadavg()[0]:.1f}"
    kinds = ("100 given, after a search ms", "once more ms")
    columns = ("stage", "prepare s", *kinds, "searched ms", "× bare", "save / load", "1 % more items")
    table = Table(*columns, title=title)
    for items in given.items:
        measured(given.stages, items, given.bank, given.width, given.turns, table)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
