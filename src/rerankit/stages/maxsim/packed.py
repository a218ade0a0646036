"""Tokens of many items, read side by side as they are needed."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, float32
from rerankit.features import Tokens
from rerankit.finite import check_finite

_HALVES: FloatArray = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
"""Every number of half precision: looking them up is twice as fast as NumPy's conversion."""


class Packed:
    """The tokens of a side's items: `counts` (items,), `width`, and the tokens of some items in one array."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.width = tokens.shape[2]
        self.counts = _counts(tokens)

    def read(self, items: IntArray, into: FloatArray | None = None) -> FloatArray:
        """The tokens of some items, one below the other, in float32: (Σ counts, width), in `into` if it has room."""
        size = int(self.counts[items].sum())
        buffer = np.empty((size, self.width), np.float32) if into is None or len(into) < size else into
        at = 0
        for item in items.tolist():
            own = self._tokens[item]
            assert own is not None  # items without tokens are refused before
            _copy(own, buffer[at : at + len(own)])
            at += len(own)
        return buffer[:size]

    def check(self, items: IntArray) -> None:
        """Refuse tokens that are not finite, naming the first one's place among those of these items."""
        check_finite(self.read(items), "tokens")


def _copy(own: AnyArray, buffer: FloatArray) -> None:
    if own.dtype == np.float16 and own.dtype.isnative and own.flags.c_contiguous:
        np.take(_HALVES, own.view(np.uint16), out=buffer, mode="clip")
    else:
        buffer[:] = float32(own, "tokens")


def _counts(tokens: Tokens) -> IntArray:
    if not tokens.ragged:
        return np.full(len(tokens), tokens.shape[1]) if tokens.counts is None else tokens.counts
    owned = (tokens[row] for row in range(len(tokens)))
    return np.array([0 if own is None else len(own) for own in owned], np.int64)
