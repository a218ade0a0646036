"""What re-ranking costs as galleries grow, beside its floor and beside exact searches of others.

    python benchmarks/scale.py [--items 10000 30000] [--slices 5000 10000] [--whole 30000] [--width 512] [-k 100]
                               [--budget 256MB]
                               [--threads 1] [--what lists nnn …] [--record FILE.json] [--plot FILE.png]
                               [--folder KEPT] [--before SRC]
    python benchmarks/scale.py --log benchmarks/recorded/scale.txt --plot docs/images/scale.png

As many queries as items, both from files of half precision in shards; of more than `--whole` items each of the
`--slices` of queries, from which the time of as many as items is told (`as_many`). Every line is a process
of its own, which measures, right before and after its work, how fast a matrix product and a copy of memory run: the
floor is the work's FLOPs at that speed and its bytes at that bandwidth. `lists` is the exact search for the first k; a
stage's line is `rerankit.rerank` from the files to the ranking, all queries together. On a machine that does other
work, `--threads 1` and seconds of the processor tell what wall clocks cannot. `--before` names the `src` of another
checkout: every line is measured with it, too, right before. `--log` draws what an earlier run printed and measures
nothing. What is told from slices is drawn with a hollow mark.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # --before runs this file with the code of checkouts that may not have it
    from rerankit.plots import Theme

STAGES = ("nnn", "csls", "inverted-softmax", "mutual-rank", "k-reciprocal")
OTHERS = ("faiss", "sentence-transformers")
TWO_SIDED = ("k-reciprocal", "pillar-small")  # which compare queries with queries, too, and items with items
SHARD = 10_000  # vectors in a file
_LOGGED = re.compile(
    r"^((?:before: )?[\w-]+) +(?:([\d,]+) of +)?([\d,]+) × .*"
    r"\| processor +([\d.]+) s +([\d.]+) × floor.*\| peak +([\d,]+) MB",
    re.M,
)


def write_shards(folder: Path, items: int, width: int, seed: int) -> None:
    """Vectors around some centres, as those of a network lie, in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((max(1, items // 20), width), dtype=np.float32)
    for number, start in enumerate(range(0, items, SHARD)):
        rows = min(SHARD, items - start)
        around = centres[random.integers(0, len(centres), rows)]
        noise = random.standard_normal((rows, width), dtype=np.float32)
        np.save(folder / f"{folder.name}_{number}.npy", (around + 1.5 * noise).astype(np.float16))


def lists(clip: Path, k: int) -> Any:
    """The first k of every query."""
    import rerankit

    return rerankit.read(clip).scores.topk(k)[0]


def staged(name: str) -> Callable[[Path, int], Any]:
    """A stage, from files to the ranking."""

    def run(clip: Path, k: int) -> Any:
        import rerankit

        return rerankit.rerank(rerankit.read(clip), name, k=k).indices

    return run


def pillar_small(clip: Path, k: int) -> Any:
    """The small pillar reasoner, whose weights are random: what it costs does not depend on them."""
    import torch

    import rerankit

    stage = rerankit.stage("pillar-small")
    torch.manual_seed(0)
    stage.set_weights({name: tensor.numpy() for name, tensor in stage.build().state_dict().items()})
    return rerankit.rerank(rerankit.read(clip), stage, k=k).indices


def faiss(clip: Path, k: int) -> Any:
    """The exact index of faiss."""
    import faiss as library

    import rerankit

    library.omp_set_num_threads(os.cpu_count() or 1)
    queries, gallery = (np.asarray(rerankit.read(clip / name), np.float32) for name in ("text_emb", "img_emb"))
    for vectors in (queries, gallery):
        library.normalize_L2(vectors)
    index = library.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    return index.search(queries, k)[1]


def sentence_transformers(clip: Path, k: int) -> Any:
    """The search of sentence-transformers."""
    import torch
    from sentence_transformers.util import semantic_search

    import rerankit

    queries, gallery = (
        torch.from_numpy(np.asarray(rerankit.read(clip / name), np.float32)) for name in ("text_emb", "img_emb")
    )
    found = semantic_search(queries, gallery, top_k=k)
    return np.array([[hit["corpus_id"] for hit in hits] for hits in found])


WORKS: dict[str, Callable[[Path, int], Any]] = {
    "lists": lists,
    **{name: staged(name) for name in STAGES},
    "pillar-small": pillar_small,
    "faiss": faiss,
    "sentence-transformers": sentence_transformers,
}


def speeds() -> np.ndarray:
    """FLOP/s of a product of the shape in which searches run, and bytes/s that a copy of memory reads and writes: by
    the clock, and by the processor's time; the best of a few. (2, 2)
    """
    left, right = np.ones((2048, 512), np.float32), np.ones((16_384, 512), np.float32)
    source = np.ones(50_000_000, np.uint8)
    target = np.empty_like(source)
    products = np.min([times(lambda: left @ right.T) for _ in range(5)], axis=0)
    copies = np.min([times(lambda: np.copyto(target, source)) for _ in range(5)], axis=0)
    return np.stack([2 * left.size * len(right) / products, 2 * source.nbytes / copies])


def times(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor, all threads together."""
    start, begun = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - begun


def once(name: str) -> None:
    """The same work over a few vectors, since importing is no part of what is measured."""
    with tempfile.TemporaryDirectory() as folder:
        for seed, each in enumerate(("img_emb", "text_emb")):
            write_shards(Path(folder) / "clip" / each, 300, 16, seed)
        WORKS[name](Path(folder) / "clip", 10)


def one(name: str, clip: Path, queries: int, items: int, width: int, k: int) -> dict[str, Any]:
    """A line: what one of the works costs in this process."""
    once(name)
    before, found = speeds(), []
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, busy = times(lambda: found.append(WORKS[name](clip, k)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (by_clock, by_processor), copy = ((before + speeds()) / 2).tolist()
    flops, moved = 2 * queries * items * width, 2 * (queries + items) * width + 12 * queries * k
    return {
        "what": name,
        "queries": queries,
        "items": items,
        "width": width,
        "k": k,
        "seconds": took,
        "floor": flops / by_clock + moved / copy[0],
        "busy": busy,
        "busy_floor": flops / by_processor + moved / copy[1],
        "gflops": by_clock / 1e9,
        "gbytes": copy[0] / 1e9,
        "peak_mb": peak / 1000,
        "before_mb": peak_before / 1000,
        "load": os.getloadavg()[0],
        "first": np.asarray(found[0])[:200].tolist(),
    }


def measurements(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every line, with files that are kept or made for it."""
    with tempfile.TemporaryDirectory() as temporary:
        found = lines(given, given.folder or Path(temporary))
    same_lists(found)
    return found


def lines(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Every line, each from a process of its own; those of one size follow each other."""
    found = []
    sizes = [(items, each) for items in given.items for each in (given.slices if items > given.whole else [items])]
    for items, queries in sizes:
        clip = folder / f"clip-{queries}-{items}-{given.width}"
        if not clip.exists():
            for seed, name, count in ((1, "img_emb", items), (2, "text_emb", queries)):
                write_shards(clip / name, count, given.width, seed)
        for _ in range(given.turns):
            for name in given.what:
                for before in (True, False) if given.before else (False,):
                    line = measured(given, name, clip, (queries, items), before)
                    if line is not None:
                        found.append({**line, "before": before})
                        show(found[-1], found)
    for line in as_many(found):
        if line["told"]:
            print(
                f"{line['what']}, {line['items']:,} items: told from slices, processor {line['busy']:,.1f} s for as "
                f"many queries, {line['busy'] / line['busy_floor']:.2f} × floor"
            )
    return found


def measured(
    given: argparse.Namespace, name: str, clip: Path, sizes: tuple[int, int], before: bool
) -> dict[str, Any] | None:
    """A line from a process of its own, which runs the code of another checkout or this one; None where it fails."""
    words = [name, str(clip), *map(str, (*sizes, given.width, given.k))]
    environment = {**os.environ, "RERANKIT_MEMORY_BUDGET": given.budget}
    environment |= {} if given.threads is None else {"OMP_NUM_THREADS": str(given.threads)}
    environment |= {"PYTHONPATH": str(given.before)} if before else {}
    command = [sys.executable, __file__, "--one", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        told = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        print(f"{name}: {told[-1]}", file=sys.stderr)
        return None
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line


def show(line: dict[str, Any], found: list[dict[str, Any]]) -> None:
    """One line, beside the floor and the lists of the same size."""
    alike = "items", "queries", "before"
    of_size = [each for each in found if all(each[name] == line[name] for name in alike)]
    base = [each for each in of_size if each["what"] == "lists"]
    clock, busy = (f" {line[n] / base[-1][n]:5.2f} × lists" if base else "" for n in ("seconds", "busy"))
    what = f"{'before: ' if line['before'] else ''}{line['what']}"
    fewer = "" if line["queries"] == line["items"] else f"{line['queries']:,} of "
    print(
        f"{what:<21} {fewer:>10}{line['items']:>7,} × {line['width']} {line['seconds']:7.1f} s "
        f"{line['seconds'] / line['floor']:5.2f} × floor{clock} | processor {line['busy']:7.1f} s "
        f"{line['busy'] / line['busy_floor']:5.2f} × floor{busy} | peak {line['peak_mb']:5,.0f} MB "
        f"| {line['gflops']:.0f} GFLOP/s, {line['gbytes']:.0f} GB/s, load {line['load']:.1f}",
        flush=True,
    )


def same_lists(found: list[dict[str, Any]]) -> None:
    """How often others name the same item at the same place as `lists`."""
    for line in found:
        if line["what"] in OTHERS:
            alike = (e for e in found if all(e[name] == line[name] for name in ("items", "queries")))
            ours = [e["first"] for e in alike if e["what"] == "lists"]
            if ours:
                share = np.mean(np.array(ours[-1]) == np.array(line["first"]))
                print(f"{line['what']}, {line['items']:,} items: the same item at {share:.2%} of places")


def logged(text: str) -> list[dict[str, Any]]:
    """The lines that `show` wrote, of the newest run in a log: what comes after `# Earlier` is of other code."""
    found = []
    for what, queries, items, busy, times_floor, peak in _LOGGED.findall(text.partition("\n# Earlier")[0]):
        line = {"what": what.removeprefix("before: "), "items": int(items.replace(",", "")), "busy": float(busy)}
        line |= {"queries": int(queries.replace(",", "")) if queries else line["items"]}
        line |= {"busy_floor": float(busy) / float(times_floor), "peak_mb": float(peak.replace(",", ""))}
        found.append({**line, "before": what.startswith("before: ")})
    return found


def draw(found: list[dict[str, Any]], figure: Any, theme: Theme) -> None:
    """Time and memory against items, both logarithmic; a slope of 2 is time that grows with items²."""
    from matplotlib.ticker import LogLocator

    panels = figure.subplots(1, 2)
    found = as_many(found)
    for name, marker in zip(dict.fromkeys(line["what"] for line in found), "osD^vPX*", strict=False):
        best = sorted((line for line in found if line["what"] == name), key=lambda line: line["items"])
        sizes = [line["items"] for line in best]
        for axes, figures in zip(panels, ("busy", "peak_mb"), strict=True):
            drawn = axes.plot(sizes, [line[figures] for line in best], marker=marker, label=name)[0]
            hollow = [(line["items"], line[figures]) for line in best if line["told"]]
            mark = {"color": drawn.get_color(), "markerfacecolor": theme.paper}
            for x, y in hollow:
                axes.plot(x, y, marker, zorder=3, **mark)
    sizes = sorted({line["items"] for line in found})
    floors = [min(line["busy_floor"] for line in found if line["items"] == size) for size in sizes]
    panels[0].plot(sizes, floors, "--", color=theme.muted, label="floor: the product alone")
    for axes, title in zip(panels, ("seconds of the processor", "peak memory, MB"), strict=True):
        axes.set(xscale="log", yscale="log", xlabel="items, and as many queries", title=title)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)


def as_many(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of every work and size a line for as many queries as items, `told` where no such was measured.

    It is told from a straight line through the time of the fewest and of the most queries (in proportion where there
    is but one). Where queries are compared with each other, that costs as much as what is the same for any number of
    queries: the items with each other. Memory is that of the most queries.
    """
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for line in found:
        if not line["before"]:
            groups.setdefault((line["what"], line["items"]), []).append(line)
    lines = []
    for (what, items), several in groups.items():
        by_queries = {line["queries"]: line for line in sorted(several, key=lambda line: -line["busy"])}
        (few, first), (many, last) = min(by_queries.items()), max(by_queries.items())
        told = {**last, "told": many < items, "queries": items, "busy_floor": last["busy_floor"] * items / many}
        if few < many < items:
            each = (last["busy"] - first["busy"]) / (many - few)
            same = max(0.0, first["busy"] - each * few)
            told["busy"] = each * items + same * (2 if what in TWO_SIDED else 1)
        else:
            told["busy"] = last["busy"] * items / many
        lines.append(told)
    return lines


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        name, clip, *numbers = sys.argv[2:]
        queries, items, width, k = map(int, numbers)
        print(json.dumps(one(name, Path(clip), queries, items, width, k)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 30_000])
    parser.add_argument("--slices", type=int, nargs="+", default=[5000, 10_000])
    parser.add_argument("--whole", type=int, default=30_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("-k", type=int, default=100)
    parser.add_argument("--budget", default="256MB")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--what", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--record", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    found = logged(given.log.read_text(encoding="utf-8")) if given.log else measurements(given)
    if given.record and not given.log:
        from rerankit.measure import machine

        kept = [{name: value for name, value in line.items() if name != "first"} for line in found]
        text = json.dumps({"machine": machine(), "budget": given.budget, "lines": kept}, indent=1)
        given.record.write_text(text + "\n", encoding="utf-8")
    if given.plot:
        from rerankit.plots import save_pair

        save_pair(partial(draw, found), given.plot, (8, 4))


if __name__ == "__main__":
    main()
