"""What a run was measured on, and how much memory it took."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_PACKAGES = ("numpy", "scipy", "torch", "torch-geometric", "transformers", "scikit-learn")


@dataclass
class Usage:
    """Seconds, and the highest memory in bytes while a block ran; None where it cannot be measured."""

    seconds: float = 0.0
    peak_ram: int | None = None
    peak_gpu: int | None = None


@contextmanager
def measured() -> Iterator[Usage]:
    """Measure a block; the memory is the whole process's highest resident size while it ran."""
    usage = Usage()
    exact = _reset_peak()
    cuda = _cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    try:
        yield usage
    finally:
        if cuda is not None:
            cuda.synchronize()
            usage.peak_gpu = int(cuda.max_memory_allocated())
        usage.seconds = time.perf_counter() - start
        usage.peak_ram = _peak() if exact else None


def _reset_peak() -> bool:
    """Let the kernel forget the process's highest resident size; False where there is no such thing."""
    with suppress(OSError):
        _CLEAR.write_text("5")
        return True
    return False


def _peak() -> int | None:
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def _cuda() -> Any:
    """torch.cuda when this process already uses it; nothing is imported for measuring."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized() else None


def environment() -> dict[str, Any]:
    """Versions and hardware."""
    from rerankit._version import __version__

    versions = {"rerankit": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    cuda = _cuda()
    return {
        "versions": versions,
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "device": "cpu" if cuda is None else f"cuda ({cuda.get_device_name()})",
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
