"""What a service counts, in the text form of Prometheus; several workers count together by files."""

from __future__ import annotations

import json
import os
import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rerankit.files import atomic

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
State = dict[str, Any]
"""Numbers by name, or by name and labels; they add up over workers."""


class RequestCounts:
    """Requests by path and status, and how long they took.

    >>> counts = RequestCounts()
    >>> counts.add("/search", 200, 0.003)
    >>> [line for line in text_of([counts.state()]).splitlines() if line.startswith("rerankit_requests_total")]
    ['rerankit_requests_total{path="/search",status="200"} 1']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[str, int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        name = f"{path} {status}"
        with self._lock:
            self._requests[name] = self._requests.get(name, 0) + 1
            buckets = self._buckets.setdefault(path, [0] * (len(_BOUNDS) + 1))
            buckets[bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def state(self) -> State:
        """Everything counted, as JSON takes it."""
        with self._lock:
            buckets = {path: list(counts) for path, counts in self._buckets.items()}
            return {"requests": dict(self._requests), "buckets": buckets, "seconds": dict(self._seconds)}


class SharedCounts:
    """A folder in which each worker leaves what it counted, so that any of them can tell the whole.

    A worker that has gone stays counted, but for its last second where it was killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._left = folder, State()

    def leave(self, state: State) -> None:
        """Write this worker's state, where it has changed."""
        if state != self._left:
            with atomic(self.folder / f"{os.getpid()}.json", durable=False) as file:
                file.write_text(json.dumps(state), encoding="utf-8")
            self._left = state

    def others(self) -> list[State]:
        """What the other workers left."""
        own = f"{os.getpid()}.json"
        files = sorted(file for file in self.folder.glob("*.json") if file.name != own)
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def text_of(states: Iterable[State]) -> str:
    """The sum of what workers counted, as Prometheus reads it."""
    all_of = list(states)
    lines = ["# HELP rerankit_requests_total Requests by path and status.", "# TYPE rerankit_requests_total counter"]
    for name, count in sorted(_sums(state["requests"] for state in all_of).items()):
        path, status = name.split(" ")
        lines.append(f'rerankit_requests_total{{path="{path}",status="{status}"}} {count}')
    lines += [
        "# HELP rerankit_request_seconds How long requests took.",
        "# TYPE rerankit_request_seconds histogram",
    ]
    seconds = _sums(state["seconds"] for state in all_of)
    for path in sorted(seconds):
        known = [state["buckets"][path] for state in all_of if path in state["buckets"]]
        lines += _histogram(path, [sum(counts) for counts in zip(*known, strict=True)], seconds[path])
    for name, help_of in COUNTERS.items():
        total = sum(state.get(name, 0) for state in all_of)
        lines += [f"# HELP rerankit_{name}_total {help_of}", f"# TYPE rerankit_{name}_total counter"]
        lines.append(f"rerankit_{name}_total {total}")
    return "\n".join([*lines, *_hubness(all_of)]) + "\n"


COUNTERS = {
    "blocks": "Blocks in which single queries were answered.",
    "answers": "Queries that were answered.",
    "changed": "Queries whose first item is not that of the search.",
}


def _hubness(states: list[State]) -> list[str]:
    """The mean over the workers' latest answers."""
    weights = [state.get("watched", 0) for state in states]
    if not sum(weights):
        return []
    pairs = zip(weights, states, strict=True)
    mean = sum(weight * state.get("skewness", 0.0) for weight, state in pairs) / sum(weights)
    name = "rerankit_hubness_skewness"
    return [
        f"# HELP {name} How unevenly items come up among the first 10 of the latest answers.",
        f"# TYPE {name} gauge",
        f"{name} {mean:.6g}",
    ]


def _sums(tables: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for table in tables:
        for name, value in table.items():
            total[name] = total.get(name, 0) + value
    return total


def _histogram(path: str, buckets: list[int], seconds: float) -> list[str]:
    total, lines = 0, []
    for bound, count in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
        total += count
        lines.append(f'rerankit_request_seconds_bucket{{path="{path}",le="{bound}"}} {total}')
    lines.append(f'rerankit_request_seconds_sum{{path="{path}"}} {seconds:.6f}')
    lines.append(f'rerankit_request_seconds_count{{path="{path}"}} {total}')
    return lines
