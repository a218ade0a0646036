"""Where stages have the neighbours of vectors from: an index, scores that know them, or an exact search."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, float32
from rerankit.errors import rule
from rerankit.scoped import set_to
from rerankit.scores import EmbeddingScores, Scores, blocks, normalised, order

Search: TypeAlias = Callable[[FloatArray, int], IntArray]
"""Vectors (rows, d) and k: about the nearest k of the vectors it was built for, (rows, k), −1 where it found fewer."""
Build: TypeAlias = Callable[[FloatArray, str], Search]
"""Vectors (n, d), of length 1 where they are compared by cosine, and how they are compared: a search among them."""
_KEPT = 4  # indexes that are kept, since a stage asks for the neighbours of several sides


class Finder:
    """Looks for neighbours by indexes, which are built when they are needed, and measures what they miss: for `sample`
    rows of the first search in each, evenly spaced, the exact neighbours are looked up, too.
    """

    def __init__(self, build: Build, sample: int) -> None:
        self._build, self._sample = build, sample
        self._built: list[tuple[AnyArray, Search]] = []
        self.wanted, self.missing = 0, 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": []}  # an index is built again where it is needed

    @property
    def missed(self) -> float | None:
        """The share of the true neighbours that was missed; None where nothing was looked for."""
        return self.missing / self.wanted if self.wanted else None

    def lists(self, scores: Scores, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        """About the nearest k columns of some rows, by their exact scores and the tie rule, padded with −1, −inf."""
        assert isinstance(scores, EmbeddingScores), "asked by whoever has the finder"
        k, built = min(k, scores.shape[1]), [search for vectors, search in self._built if vectors is scores.gallery]
        search = built[0] if built else self._made(scores)
        indices, values = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), np.float32)
        for block in blocks(len(rows), 8 * scores.queries.shape[1] + 40 * k, least=64):
            found = np.asarray(search(vectors_of(scores.queries[rows[block]], scores.metric), k))
            shape = len(rows[block]), k
            if found.shape != shape or found.dtype.kind != "i" or found.max(initial=-1) >= scores.shape[1]:
                raise rule("index", f"must find rows of its vectors, {shape}", f"{found.dtype} {found.shape}")
            own = scores.pairs(np.broadcast_to(rows[block][:, None], shape), np.maximum(found, 0))
            own = np.where(found >= 0, own, np.float32(-np.inf))
            indices[block], values[block] = order(own, found.astype(np.int64))
        if not built:
            self._measure(scores, rows, indices)
        return indices, values

    def _made(self, scores: EmbeddingScores) -> Search:
        search = self._build(vectors_of(scores.gallery, scores.metric), scores.metric)
        self._built = [*self._built[1 - _KEPT :], (scores.gallery, search)]
        return search

    def _measure(self, scores: EmbeddingScores, rows: IntArray, found: IntArray) -> None:
        some = np.unique(np.linspace(0, len(rows) - 1, self._sample).astype(np.int64))
        true = scores.take(rows[some]).topk(found.shape[1])[0]
        self.wanted += true.size
        self.missing += true.size - sum(
            len(np.intersect1d(right, listed)) for right, listed in zip(true, found[some], strict=True)
        )


class KnownNearest(Finder):
    """Finds neighbours as the scores know them: those of queries whose nearest items were told are not looked for, all
    others are exact. The lowest and the middle score of a query are those to a sample, as with an index.
    """

    def __init__(self) -> None:
        super().__init__(_no_index, 1)

    def lists(self, scores: Scores, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        every = np.array_equal(rows, np.arange(scores.shape[0]))
        return (scores if every else scores.take(rows)).topk(k)


def _no_index(vectors: FloatArray, metric: str) -> Search:
    raise AssertionError("scores are asked, not an index")


def vectors_of(vectors: Any, metric: str) -> FloatArray:
    """Vectors (n, d) as an index takes them: in single precision, of length 1 where they are compared by cosine."""
    given = np.ascontiguousarray(float32(vectors, "vectors"))
    return normalised(given) if metric == "cosine" else given


_finder: ContextVar[Finder | None] = ContextVar("finder", default=None)


def served_by(finder: Finder | None) -> AbstractContextManager[None]:
    """A block in which stages have the neighbours of vectors from a finder; None: exact ones."""
    return set_to(_finder, finder)


def finder_for(*scores: Scores) -> Finder | None:
    """What finds the neighbours of these scores approximately; None where they are exact, or some are of no vectors."""
    return _finder.get() if all(isinstance(one, EmbeddingScores) for one in scores) else None
