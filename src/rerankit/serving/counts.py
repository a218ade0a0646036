"""What a service counts, in the text form of Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left

_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counts:
    """Requests by path and status, and how long they took.

    >>> counts = Counts()
    >>> counts.add("/search", 200, 0.003)
    >>> [line for line in counts.text().splitlines() if line.startswith("rerankit_requests_total")]
    ['rerankit_requests_total{path="/search",status="200"} 1']
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count one request."""
        with self._lock:
            self._requests[path, status] = self._requests.get((path, status), 0) + 1
            buckets = self._buckets.setdefault(path, [0] * (len(_BOUNDS) + 1))
            buckets[bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        with self._lock:
            lines = [
                "# HELP rerankit_requests_total Requests by path and status.",
                "# TYPE rerankit_requests_total counter",
            ]
            for (path, status), count in sorted(self._requests.items()):
                lines.append(f'rerankit_requests_total{{path="{path}",status="{status}"}} {count}')
            lines.append("# HELP rerankit_request_seconds How long requests took.")
            lines.append("# TYPE rerankit_request_seconds histogram")
            for path, buckets in sorted(self._buckets.items()):
                lines += _histogram(path, buckets, self._seconds[path])
        return "\n".join(lines) + "\n"


def _histogram(path: str, buckets: list[int], seconds: float) -> list[str]:
    total, lines = 0, []
    for bound, count in zip((*map(str, _BOUNDS), "+Inf"), buckets, strict=True):
        total += count
        lines.append(f'rerankit_request_seconds_bucket{{path="{path}",le="{bound}"}} {total}')
    lines.append(f'rerankit_request_seconds_sum{{path="{path}"}} {seconds:.6f}')
    lines.append(f'rerankit_request_seconds_count{{path="{path}"}} {total}')
    return lines
