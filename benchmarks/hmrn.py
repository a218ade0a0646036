"""The hierarchical scorer against its definition, round after round: time, operations, memory.

    python benchmarks/hmrn.py [PART ...] [--searches 200] [--images 200] [--repeats 3] [--slice 4] [--json FILE]

The parts are `local`, `operations`, `levels`, `whole` and `standing`; without any, all run. Both contenders run in one
process on the same encoded inputs at the published sizes (36 regions, width 256, 10 rounds). Wanted: the local table at
least 50 times faster, all levels at least 2.5 times faster and within 1.5 times of their own operations at the
machine's matrix speed, at most 8 MFLOP of reasoning a pair and round, and 9,896 × 9,896 under 4 GB.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

import hmrn_naive as naive
from hmrn_cost import pair_cost, plain_cost, reasoning_cost
from rerankit import Gallery, prepare
from rerankit.features import Regions
from rerankit.measure import machine, measure
from rerankit.stages.hmrn.config import VARIANTS, HmrnConfig
from rerankit.stages.hmrn.fast import Images, Searches
from rerankit.stages.hmrn.network import Hmrn
from rerankit.stages.hmrn.representation import Descriptions
from rerankit.stages.hmrn.scoring import Scorer
from rerankit.stages.hmrn.stage import HmrnStage
from rerankit.training.devices import products, rounded_products

ALL = 9896
ROUNDS = list(range(1, 11))


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result of one call; on a GPU, of the finished work."""
    started = time.perf_counter()
    result = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, result


def in_turns(
    contenders: dict[str, tuple[int, Callable[[], Any]]], rounds: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """The quickest call and the result of each contender; they take turns, each so many calls a turn.

    Turns and minima, because on a shared machine a slow moment would otherwise hit one of them.
    """
    seconds: dict[str, float] = {}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for name, (calls, run) in contenders.items():
            for _ in range(calls):
                spent, results[name] = timed(run)
                seconds[name] = min(spent, seconds.get(name, spent))
    return seconds, results


def square_products(device: torch.device, calls: int = 20) -> tuple[float, Callable[[], Any]]:
    """Operations of some large float32 products in a row, and the products: the machine's matrix speed.

    A single product is over before the processor warms up; what is compared with it runs for seconds.
    """
    size = 2048 if device.type == "cpu" else 8192
    square = torch.randn(size, size, device=device)

    def multiply() -> None:
        for _ in range(calls):
            square @ square

    return 2.0 * calls * size**3, multiply


def inputs(scorer: Scorer, searches: int, images: int, regions: Any = None) -> tuple[list[Images], list[Searches]]:
    """Regions, random if not given, and random descriptions; encoded."""
    rng = np.random.default_rng(0)
    config = scorer.config
    if regions is None:
        regions = rng.standard_normal((images, 36, config.region_dim), dtype=np.float32)
    vectors = rng.standard_normal((searches, 10, config.dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    return scorer.images(Regions(regions)), scorer.searches(Descriptions(vectors))


def write_regions(file: Path, images: int, dim: int) -> None:
    """Random regions of many images on disk; the same hundred again and again, which is quick to write."""
    shape = (images, 36, dim)
    some = np.random.default_rng(0).standard_normal((100, *shape[1:]), dtype=np.float32)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for start in range(0, images, len(some)):
            out.write(some[: images - start].tobytes())


def local_levels(given: argparse.Namespace, report: dict[str, Any]) -> None:
    """The local table of all rounds of both variants."""
    for variant in VARIANTS:
        one_local_level(variant, given, report)


def one_local_level(variant: str, given: argparse.Namespace, report: dict[str, Any]) -> None:
    """The local table of all rounds of one variant."""
    scorer = Scorer([Hmrn(HmrnConfig(variant=variant, region_dim=64, vocabulary_size=9)).eval()])
    images, searches = inputs(scorer, given.searches, given.images)
    level, network = scorer.levels[0], scorer.networks[0].similarity
    regions, queries = images[0].regions, searches[0].queries
    rounding = rounded_products(scorer.device)

    def rounded() -> torch.Tensor:
        with products(scorer.device, rounding):
            return level(images[0], searches[0], scorer.cells())

    contenders = {
        "seconds": (10, lambda: level(images[0], searches[0], scorer.cells())),
        "definition, seconds": (1, lambda: naive.local_all_rounds(network, regions, queries)),
    }
    if variant == "I-T":
        contenders["published layout, seconds"] = (1, lambda: naive.local_expanded(network, regions, queries))
    operations, product = square_products(scorer.device)
    others = {"product": (1, product), rounding: (10, rounded)}
    seconds, found = in_turns({**others, **contenders}, given.repeats)
    speed, quick = operations / seconds.pop("product"), seconds.pop(rounding)
    row = dict(seconds)
    for name in list(seconds)[1:]:
        row[f"times faster than the {name.partition(',')[0]}"] = seconds[name] / seconds["seconds"]
        row["largest difference"] = float((found["seconds"] - found[name]).abs().max())
    own = 2.0 * queries.numel() * regions.shape[:2].numel()
    row |= {"GFLOP of the one product": own / 1e9, "matrix GFLOP/s": speed / 1e9}
    row["seconds of the product alone at matrix speed"] = own / speed
    row[f"seconds, {rounding}"] = quick
    row[f"times faster than the definition, {rounding}"] = seconds["definition, seconds"] / quick
    row[f"largest difference, {rounding}"] = float((found["seconds"] - found[rounding]).abs().max())
    report[f"local {variant}"] = row
    show(f"local level, all rounds, {variant}", row)


def all_levels(given: argparse.Namespace, report: dict[str, Any]) -> None:
    """All levels, all rounds; time against the definition and against the machine's matrix speed."""
    scorer = Scorer([Hmrn(HmrnConfig(region_dim=64, vocabulary_size=9)).eval()])
    images, searches = inputs(scorer, given.searches, given.images)
    network = scorer.networks[0].similarity
    rounding = Scorer(scorer.networks, scorer.device, rounded_products(scorer.device))
    operations, product = square_products(scorer.device)
    contenders = {
        "product": (1, product),
        "seconds": (2, lambda: joints(scorer, images, searches)),
        f"seconds, {rounding.rounding}": (2, lambda: joints(rounding, images, searches)),
        "definition, seconds": (
            1,
            lambda: naive.joint_all_rounds(network, images[0].regions, searches[0].queries),
        ),
    }
    seconds, found = in_turns(contenders, given.repeats)
    speed = operations / seconds.pop("product")
    with FlopCounterMode(display=False) as counter:
        next(iter(scorer.score([images[0][:16]], [searches[0][:2]], ROUNDS)))
    own = counter.get_total_flops() / 32 * given.searches * given.images
    joint, rounded = found["seconds"], found[f"seconds, {rounding.rounding}"]
    row = {
        **seconds,
        "times faster": seconds["definition, seconds"] / seconds["seconds"],
        "largest difference": float(np.abs(joint - found["definition, seconds"].cpu().numpy()).max()),
        f"largest difference, {rounding.rounding}": float(np.abs(joint - rounded).max()),
        "own GFLOP": own / 1e9,
        "matrix GFLOP/s": speed / 1e9,
        "times its own operations at matrix speed": seconds["seconds"] / (own / speed),
    }
    report["all levels"] = row
    show("all levels, all rounds", row)


def joints(scorer: Scorer, images: list[Images], searches: list[Searches]) -> np.ndarray:
    """Joint scores of all rounds, (rounds, searches, images)."""
    return np.concatenate([part.joint for part in scorer.score(images, searches, ROUNDS)], axis=1)


def operations(given: argparse.Namespace, report: dict[str, Any]) -> None:
    """MFLOP of the reasoning level of a pair, round by round."""
    config = HmrnConfig()
    table = Table("rounds", "MFLOP", "as the definition reads", title="reasoning level, one pair")
    for t in ROUNDS:
        own, plain = (cost(config, regions=36, queries=t) / 1e6 for cost in (reasoning_cost, plain_cost))
        table.add_row(str(t), f"{own:.2f}", f"{plain:.2f}")
    every = pair_cost(config, regions=36, rounds=ROUNDS)
    plain = sum(plain_cost(config, regions=36, queries=t) for t in ROUNDS)
    table.add_row("all ten", f"{every.reasoning / 1e6:.2f}", f"{plain / 1e6:.2f}")
    Console().print(table)
    report["reasoning MFLOP, round 10"] = reasoning_cost(config, regions=36, queries=10) / 1e6
    report["reasoning MFLOP, all rounds"] = every.reasoning / 1e6


def whole_test_set(given: argparse.Namespace, report: dict[str, Any]) -> None:
    """All 9,896 images of the published width, from a memory map: peak memory, and time for all searches.

    A slice of searches gets all levels of all rounds, a block of them the cheap levels.
    """
    scorer = Scorer([Hmrn(HmrnConfig(vocabulary_size=9)).eval()])
    block = max(64, given.slice)
    with tempfile.TemporaryDirectory() as spare:
        write_regions(Path(spare) / "regions.npy", ALL, scorer.config.region_dim)
        mapped = np.load(Path(spare) / "regions.npy", mmap_mode="r")
        with measure() as encoding:
            images, searches = inputs(scorer, block, ALL, mapped)
        size = mapped.nbytes
        del mapped
    with measure() as cost:
        few = [side[: given.slice] for side in searches]
        sliced, _ = timed(lambda: [part.joint.mean() for part in scorer.score(images, few, ROUNDS)])
        cheap, _ = timed(lambda: scorer.cheap(images, searches, ROUNDS))
    top = np.arange(100)
    once = min(timed(lambda: [scorer.reason(images, searches, 0, top, [t]) for t in ROUNDS])[0] for _ in range(5))
    row = {
        "searches run": given.slice,
        "images": ALL,
        "GB of regions in the memory map": size / 1e9,
        "peak GB above the start, encoding": encoding.peak_bytes / 1e9,
        "seconds of encoding": encoding.seconds,
        "peak GB above the start, scoring": cost.peak_bytes / 1e9,
        "seconds for the slice": sliced,
        "hours for all searches, by proportion": sliced / given.slice * ALL / 3600,
        "minutes with a cascade of 100, by proportion": (cheap / block + once) * ALL / 60,
    }
    report["9,896 images"] = row
    show("9,896 images, all rounds", row)


def standing(given: argparse.Namespace, report: dict[str, Any]) -> None:
    """One search of five descriptions for 100 candidates of a gallery that stands ready, in processor time, and without
    what was prepared.
    """
    random, row = np.random.default_rng(0), dict[str, Any]()
    regions = Regions(random.normal(size=(500, 36, 2048)).astype(np.float32))
    gallery = Gallery.from_scores(size=len(regions), features={"regions": regions})
    words = {"text": Descriptions(random.integers(4, 100, size=(1, 5, 8)), lengths=np.full((1, 5), 8))}
    problem = gallery.problem(candidates=np.arange(100), features=words)
    first = gallery.ranking(problem, np.arange(100))
    for encoded in ("float32", "float16"):
        made = HmrnStage(encoded=encoded)
        made = made.with_networks([Hmrn(made.config_for("I-T", region_dim=2048, vocabulary_size=100)).eval()])
        seconds, ready = timed(lambda made=made: prepare(made, gallery))  # type: ignore[misc]
        inside = ready.prepared.children[0]
        row[f"ms of a search, {encoded}"] = processor_ms(lambda inside=inside: inside.rerank(problem, first))  # type: ignore[misc]
        row[f"bytes of a picture, {encoded}"] = ready.info()[0]["bytes"] / len(regions)
        row[f"ms of preparing a picture, {encoded}"] = 1000 * seconds / len(regions)
    row["ms of a search that encodes its candidates"] = processor_ms(lambda: made.rerank(problem, first))
    report["standing"] = row
    show("a gallery that stands ready, I-T, one thread", row)


def processor_ms(run: Callable[[], Any], turns: int = 15) -> float:
    """The median of the processor's milliseconds, with one thread."""
    several, times = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for _ in range(turns):
        start = time.process_time()
        run()
        times.append(1000 * (time.process_time() - start))
    torch.set_num_threads(several)
    return float(np.median(times))


def show(title: str, row: dict[str, Any]) -> None:
    """One row, a line for each figure."""
    table = Table("figure", "value", title=title)
    for name, value in row.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


PARTS: dict[str, Callable[[argparse.Namespace, dict[str, Any]], None]] = {
    "local": local_levels,
    "operations": operations,
    "levels": all_levels,
    "whole": whole_test_set,
    "standing": standing,
}


@torch.no_grad()
def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help=", ".join(PARTS))
    for name, default in (("--searches", 200), ("--images", 200), ("--repeats", 3), ("--slice", 4)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    report: dict[str, Any] = {"machine": machine(), "threads": torch.get_num_threads(), "torch": torch.__version__}
    for name in given.parts or PARTS:
        PARTS[name](given, report)
        if given.json:  # after each, so that a run that is cut short has said something
            given.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
