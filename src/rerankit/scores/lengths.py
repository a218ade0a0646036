"""Lengths of vectors, in double precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rerankit.arrays import AnyArray, FloatArray
from rerankit.scores.blocks import pieces
from rerankit.threads import in_threads

Doubles = NDArray[np.float64]


def squares_of(vectors: AnyArray) -> Doubles:
    """Squared lengths (n,) of vectors (n, d) on the grid."""
    found: Doubles = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return found


def normalised(vectors: FloatArray) -> FloatArray:
    """Vectors (n, d) at length 1; a vector of zeros stays zeros.

    >>> normalised(np.float32([[3, 4], [0, 0]]))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    result = np.empty(vectors.shape, np.float32)

    def one(part: slice) -> None:
        values = vectors[part].astype(np.float64)
        np.divide(values, lengths_of(values)[:, None], out=result[part], casting="same_kind")

    in_threads(one, pieces(len(vectors), vectors.shape[1]))
    return result


def lengths_of(values: Doubles) -> Doubles:
    """Lengths (n,) of vectors (n, d); 1 for a vector of zeros."""
    lengths: Doubles = np.sqrt(np.einsum("ij,ij->i", values, values))
    lengths[lengths == 0] = 1
    return lengths
