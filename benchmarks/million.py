"""A run over a gallery of a million, killed in the middle and gone on with.

    python benchmarks/million.py [--items 1000000] [--queries 16384] [--width 256] [--stage nnn] [--bank 2048]
                                 [--shard-size 4096] [--folder KEPT]
    python benchmarks/million.py --stage k-reciprocal --minutes 5 [--items 1000000] [--width 256] [--shard-size 4096]
    python benchmarks/million.py --drawn [--items 1000000] [--queries 1024] [--width 256] [--bank 2048]

A slice of the queries is re-ranked by `rerankit rerank --engine local` from files of half precision. As soon as half of
its shards are finished the process is killed by the system's own signal, and the same command goes on with `--resume`.
Every line says seconds by the clock and of the processor, and peak memory; the last ones what is left in the folder,
and what as many queries as items would cost, which is the cost of a shard times their number: shards do not know of
each other.

`--minutes` is for a preparation that takes hours: the same command runs for so long, is killed, goes on for as long
with `--resume`, and is killed again. What the shards that the second run finished cost is extrapolated to all of them;
the start of the program, and the shard that was lost, are in it.

`--drawn` says what memory the graph of `k-reciprocal` takes for so many items, without the search that is most of its
time: an item's neighbours are drawn among the 11 before it and the 11 behind it, with the scores that they have, so
that sets overlap as found ones do. All else is as it is: the gallery is prepared beside its bank, and answers queries.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scale import write_shards

REACH = 11
_RERANK = sys.executable, "-m", "rerankit", "rerank"


def work(command: list[str], until: Callable[[], bool] | None = None) -> tuple[float, float, float]:
    """Run a command, or kill it once `until` says so: seconds, seconds of the processor, peak memory in MB."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if until is not None and until():
            process.send_signal(signal.SIGKILL)
        time.sleep(0.2)
    code = process.wait()
    expected = 0 if until is None else -signal.SIGKILL
    if code != expected:
        raise SystemExit(f"the run ended with {code}, not {expected}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, busy, after.ru_maxrss / 1000


def drawn(items: int, queries: int, width: int, bank: int) -> None:
    """Prepare a gallery whose neighbours are drawn, and ask it."""
    import rerankit
    from rerankit.stages.neighbours import joint
    from rerankit.stages.neighbours.both_sides import Neighbours

    random = np.random.default_rng(0)

    def vectors(count: int) -> np.ndarray:
        parts = (random.standard_normal((min(100_000, count - at), width)) for at in range(0, count, 100_000))
        return np.concatenate([part.astype(np.float16) for part in parts])

    def neighbours(self: joint.Joint, k: int, *, level: bool = False) -> Neighbours:
        count = self.shape[0]
        found, scores = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
        for at in range(0, count, 20_000):
            rows = np.arange(at, min(at + 20_000, count))[:, None]
            steps = random.random((len(rows), 2 * REACH + 1))
            steps[:, REACH] = -1  # the item itself is the first
            near = (rows + np.argsort(steps, axis=1)[:, :k] - REACH) % count
            values = self.pairs(*np.broadcast_arrays(rows, near))
            values[:, 0] = 1
            order = np.argsort(-values, axis=1)
            found[rows[:, 0]], scores[rows[:, 0]] = (np.take_along_axis(each, order, axis=1) for each in (near, values))
        memory("neighbours are drawn")
        return Neighbours(found, scores, np.full(count, -0.2, np.float32), 1.0)

    joint.Joint.neighbours = neighbours
    gallery = rerankit.Gallery(vectors(items), bank=vectors(bank))
    memory(f"{items:,} items and a bank of {bank:,} × {width} in half precision")
    ready = rerankit.prepare(rerankit.stage("k-reciprocal", strength=0.3), gallery)
    kept = sum(one["bytes"] for one in ready.info())
    memory(f"k-reciprocal is prepared, and keeps {kept / 1e6:,.0f} MB")
    ready.rerank(vectors(queries), k=100)
    memory(f"{queries:,} queries are answered, 100 candidates each")


def memory(what: str) -> None:
    """One line."""
    found = resource.getrusage(resource.RUSAGE_SELF)
    print(
        f"{what}: processor {found.ru_utime + found.ru_stime:.0f} s, peak {found.ru_maxrss / 1000:,.0f} MB", flush=True
    )


def finished(out: Path) -> list[Path]:
    """The shards that are there."""
    return sorted(out.glob("shards/*.safetensors"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=16_384)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--stage", default="nnn")
    parser.add_argument("--bank", type=int, default=2048)
    parser.add_argument("--shard-size", type=int, default=4096)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--drawn", action="store_true")
    given = parser.parse_args()
    if given.drawn:
        drawn(given.items, given.queries, given.width, given.bank)
        return
    with tempfile.TemporaryDirectory() as temporary:
        (measure_preparing if given.minutes else measure)(given, given.folder or Path(temporary))


def command_of(given: argparse.Namespace, folder: Path) -> tuple[list[str], Path]:
    """Write the files: the command that re-ranks them, and the folder of its run."""
    clip, bank, out = folder / f"clip-{given.items}", folder / "bank", folder / f"run-{given.stage}"
    sizes = ((clip / "img_emb", given.items, 1), (clip / "text_emb", given.queries, 2), (bank, given.bank, 3))
    for place, count, seed in sizes:
        if not place.exists():
            write_shards(place, count, given.width, seed)
    print(f"{given.stage}: {given.queries:,} queries × {given.items:,} items × {given.width}, a bank of {given.bank:,}")
    options = ["--bank", str(bank), "--stage", given.stage, "--out", str(out), "--engine", "local"]
    return [*_RERANK, str(clip), *options, "--shard-size", str(given.shard_size)], out


def measure_preparing(given: argparse.Namespace, folder: Path) -> None:
    """Write the files, run and kill, go on and kill."""
    command, out = command_of(given, folder)
    killed = work(command, after(given.minutes))
    first = kept_of(out)
    show(f"killed after {given.minutes:g} minutes with {len(first)} shards prepared", killed)
    resumed = work([*command, "--resume"], after(given.minutes))
    found = kept_of(out)
    more, shards = len(found) - len(first), -(-given.items // given.shard_size)
    show(f"went on for as long with other {more}", resumed)
    kept = all(found.get(path) == what for path, what in first.items())
    print(f"prepared shards left as they were: {kept}")
    if not more or len(found) >= shards:
        raise SystemExit(f"{len(found)} of {shards} shards in {2 * given.minutes:g} minutes: give other --minutes")
    each, rows = resumed[1] / more, given.items + given.bank
    floor = 2 * rows * (given.items + given.bank) * given.width / flops()
    print(
        f"extrapolated to all {shards} shards: {each:.1f} s of the processor for one, "
        f"{each * shards / 3600:.1f} hours; the product alone {floor / 3600:.1f} hours"
    )


def after(minutes: float) -> Callable[[], bool]:
    """Whether so much time has passed from now on."""
    end = time.monotonic() + 60 * minutes
    return lambda: time.monotonic() > end


def kept_of(out: Path) -> dict[Path, tuple[int, int]]:
    """What is prepared: files with the time they were written and their size."""
    files = out.glob("preparing/*/*.safetensors")
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def measure(given: argparse.Namespace, folder: Path) -> None:
    """Write the files, run, kill, go on."""
    command, out = command_of(given, folder)
    shards = -(-given.queries // given.shard_size)
    killed = work(command, lambda: len(finished(out)) >= shards // 2)
    show(f"killed with {len(finished(out))} of {shards} shards finished", killed)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in finished(out)}
    resumed = work([*command, "--resume"])
    show(f"went on with the other {shards - len(before)}", resumed)
    kept = all((path.stat().st_mtime_ns, path.read_bytes()) == found for path, found in before.items())
    left = [path for path in folder.rglob("*") if ".rerankit-" in path.name]
    print(f"finished shards left as they were: {kept}; temporary files left: {len(left)}; {len(finished(out))} shards")
    each = resumed[1] / (shards - len(before))
    whole = each * given.items / given.shard_size
    floor = 2 * given.items**2 * given.width / flops()
    print(
        f"extrapolated to {given.items:,} queries: {each:.1f} s of the processor for a shard, "
        f"{whole / 3600:.1f} hours for {given.items / given.shard_size:.0f}; the product alone {floor / 3600:.1f} hours"
    )


def flops() -> float:
    """FLOP/s of a product of the shape in which searches run, of the processor's time, the best of a few."""
    left, right = np.ones((1024, 256), np.float32), np.ones((16_384, 256), np.float32)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        left @ right.T
        seconds.append(time.process_time() - start)
    return 2 * left.size * len(right) / min(seconds)


def show(what: str, found: tuple[float, float, float]) -> None:
    """One line."""
    clock, busy, peak = found
    print(
        f"{what}: {clock:.1f} s, processor {busy:.1f} s, peak {peak:,.0f} MB, load {os.getloadavg()[0]:.1f}", flush=True
    )


if __name__ == "__main__":
    main()
