"""MaxSim by torch, on any device: the same blocks as by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.extras import require
from rerankit.stages.maxsim.kernel import check_product, groups, parts
from rerankit.stages.maxsim.packed import Packed

_TOGETHER = 64


def maxsim_torch(queries: Packed, items: Packed, indices: IntArray, device: str) -> FloatArray:
    """Scores (queries, K) of the items `indices`; −inf where there is none (−1)."""
    torch = require("torch", extra="torch", purpose="stage 'maxsim' with engine='torch'")
    place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    scores = np.full(indices.shape, -np.inf, np.float32)
    with torch.inference_mode():
        for start in range(0, len(indices), _TOGETHER):
            rows = np.arange(start, min(start + _TOGETHER, len(indices)))
            for group in groups(queries, items, rows, indices):
                _score(torch, place, queries, items, group, indices, scores)
    return scores


def _score(
    torch: Any, place: Any, queries: Packed, items: Packed, group: IntArray, indices: IntArray, scores: FloatArray
) -> None:
    listed = indices[group]
    wanted = np.unique(listed[listed >= 0])
    if not len(wanted):
        return
    left = torch.from_numpy(queries.read(group)).to(place)
    lengths = torch.from_numpy(queries.counts[group]).to(place)
    found = []
    for part in parts(queries, items, group, wanted):
        tokens = torch.from_numpy(items.read(part)).to(place)
        counts = torch.from_numpy(np.ascontiguousarray(items.counts[part])).to(place)
        product = tokens @ left.T
        check_product(product, queries, items, group, part)
        best = torch.segment_reduce(product, "max", lengths=counts, axis=0)  # (items, tokens of the queries)
        found.append(torch.segment_reduce(best.T.contiguous(), "sum", lengths=lengths, axis=0))
    table = torch.cat(found, dim=1).cpu().numpy()
    rows, places = np.nonzero(listed >= 0)
    scores[group[rows], places] = table[rows, np.searchsorted(wanted, listed[rows, places])]
