"""What `maxsim` costs beside the matrix products alone, for candidates apart and shared, whole and half precision.

    python benchmarks/maxsim.py

Both are measured in one run and the least of several times is kept, since other work on the machine slows both.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rerankit import Problem, Ranking, stage
from rerankit.features import Tokens

WIDTH = 128
CASES = (  # queries, their tokens, items, their tokens, candidates
    ("apart", 8, 32, 5000, 180, 100),
    ("long documents", 4, 32, 1000, 1024, 100),
    ("shared", 64, 32, 200, 180, 200),
)


def least(work: Callable[[], object], times: int = 5) -> float:
    """The least time of several runs, in seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Print a line for each case."""
    random = np.random.default_rng(0)
    print(f"{'case':16}{'type':10}{'stage':>10}{'product':>10}{'ratio':>8}")
    for name, queries, tokens, items, length, k in CASES:
        left = random.normal(size=(queries, tokens, WIDTH)).astype(np.float32)
        right = random.normal(size=(items, length, WIDTH)).astype(np.float32)
        indices = np.stack([random.choice(items, k, replace=False) for _ in range(queries)])
        ranking = Ranking(indices, np.zeros(indices.shape), gallery_size=items)
        gathered = right[np.unique(indices[0])].reshape(-1, WIDTH)
        together = left.reshape(-1, WIDTH)
        if k == items:
            floor = least(lambda one=together, other=gathered: one @ other.T)
        else:
            floor = queries * least(lambda one=left[0], other=gathered: one @ other.T)
        for dtype in (np.float32, np.float16):
            problem = Problem(
                np.zeros((queries, items), np.float32),
                query_features={"tokens": left},
                gallery_features={"tokens": Tokens(right.astype(dtype))},
            )
            spent = least(lambda problem=problem, ranking=ranking: stage("maxsim").rescore(problem, ranking))
            print(f"{name:16}{np.dtype(dtype).name:10}{spent * 1e3:8.1f}ms{floor * 1e3:8.1f}ms{spent / floor:8.2f}")


if __name__ == "__main__":
    main()
