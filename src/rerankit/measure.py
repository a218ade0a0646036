"""Measuring a piece of work: seconds, peak memory above where it started, and what the machine can do."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SAMPLE_SECONDS = 0.005


@dataclass
class Cost:
    """What a piece of work cost; filled when its block ends."""

    seconds: float = 0.0
    peak_bytes: int = 0
    """Most memory held at once, above what was held before."""
    gpu_peak_bytes: int = 0
    """The same on the CUDA device, 0 without one."""

    def __str__(self) -> str:
        gpu = f", GPU {self.gpu_peak_bytes / 1e6:,.0f} MB" if self.gpu_peak_bytes else ""
        return f"{self.seconds:.3g} s, {self.peak_bytes / 1e6:,.0f} MB{gpu}"


@contextmanager
def measure() -> Iterator[Cost]:
    """Seconds and peak memory of the block.

    >>> import numpy as np
    >>> with measure() as cost:
    ...     _ = np.ones(1_000_000)
    >>> cost.seconds > 0
    True
    """
    cost = Cost()
    cuda, gpu_before = _cuda(), 0
    if cuda is not None:
        cuda.synchronize()
        cuda.reset_peak_memory_stats()
        gpu_before = cuda.memory_allocated()
    with _peak_memory(cost):
        start = time.perf_counter()
        try:
            yield cost
        finally:
            cuda = _cuda()  # the work itself may have been the first to import torch
            if cuda is not None:
                cuda.synchronize()
                cost.gpu_peak_bytes = cuda.max_memory_allocated() - gpu_before
            cost.seconds = time.perf_counter() - start


def _cuda() -> Any:
    """`torch.cuda` where torch is in use and has a device: measuring must not import it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


@contextmanager
def _peak_memory(cost: Cost) -> Iterator[None]:
    before = _resident("VmRSS")
    if _reset_high_water():
        try:
            yield
        finally:
            cost.peak_bytes = max(0, _resident("VmHWM") - before)
        return
    stop = threading.Event()
    sampler = threading.Thread(target=_sample, args=(cost, before, stop), daemon=True)
    sampler.start()
    try:
        yield
    finally:
        stop.set()
        sampler.join()


def _reset_high_water() -> bool:
    """Linux can forget the highest memory use so far; elsewhere memory is sampled instead."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _sample(cost: Cost, before: int, stop: threading.Event) -> None:
    while not stop.wait(_SAMPLE_SECONDS):
        cost.peak_bytes = max(cost.peak_bytes, _resident("VmRSS") - before)


def _resident(field: str) -> int:
    if not _STATUS.exists():
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def machine() -> dict[str, str]:
    """The machine and the versions that shape a measurement, as texts."""
    from importlib.metadata import PackageNotFoundError, version

    found = {
        "cpu": _processor(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    for package in ("rerankit", "numpy", "scipy", "torch", "torch-geometric", "transformers", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    cuda = _cuda()
    if cuda is not None:
        found["gpu"] = cuda.get_device_name()
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
