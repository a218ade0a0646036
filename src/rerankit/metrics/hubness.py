"""How often each item comes up: the hubs of a ranking, and the items that never come up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.ranking import Ranking
from rerankit.values import Plain

DEPTH = 10
_NAMED = 5


@dataclass(frozen=True)
class Hubness(Plain):
    """How often the items of a gallery stand among the first `depth` of all queries' lists."""

    depth: int
    skewness: float
    """Of the counts: 0 when items come up about equally often, above 1 where a few come up for everybody."""
    never: int
    """Items that no query has among its first places."""
    counts: tuple[tuple[int, int], ...]
    """(how often, how many items come up so often), by how often."""
    hubs: tuple[tuple[str, int], ...]
    """The items that come up most, with how often."""

    @property
    def most(self) -> int:
        """How often the greatest hub comes up."""
        return self.counts[-1][0]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Hubness:
        """What `to_dict` gave."""
        pairs = {name: tuple(tuple(pair) for pair in data[name]) for name in ("counts", "hubs")}
        return cls(**{**data, **pairs})


def hubness(ranking: Ranking, depth: int = DEPTH) -> Hubness:
    """Count in how many queries' first `depth` places each item of the gallery stands.

    The skewness of these counts is the usual measure of hubness (Radovanović et al., JMLR 2010).

    >>> found = hubness(Ranking([[0, 1], [0, 2], [0, 1]], [[2.0, 1.0]] * 3, gallery_size=5), depth=1)
    >>> found.counts, found.never, found.hubs[0]
    (((0, 4), (3, 1)), 4, ('0', 3))
    """
    depth = checks.integer("depth", depth, least=1)
    listed = ranking.indices[:, :depth]
    counts = np.bincount(listed[listed >= 0], minlength=ranking.gallery_size)
    often, items = np.unique(counts, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:_NAMED]
    names = most if ranking.gallery_ids is None else ranking.gallery_ids[most]
    return Hubness(
        depth,
        skewness(counts),
        int(np.count_nonzero(counts == 0)),
        tuple(zip(often.tolist(), items.tolist(), strict=True)),
        tuple((str(name), count) for name, count in zip(names.tolist(), counts[most].tolist(), strict=True)),
    )


def skewness(counts: np.ndarray[Any, Any]) -> float:
    """The skewness of counts, 0 where all are alike."""
    spread = float(counts.std())
    return float((((counts - counts.mean()) / spread) ** 3).mean()) if spread else 0.0
