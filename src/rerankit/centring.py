"""Vectors of two sides less their sides' means, for encoders whose sides lie apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, real_matrix
from rerankit.errors import InputError, rule


class ProblemVectors(NamedTuple):
    """Those of a problem: of both sides, and of their banks or None."""

    queries: Any
    gallery: Any
    query_bank: Any
    gallery_bank: Any


def centred(vectors: ProblemVectors, centre: Any) -> ProblemVectors:
    """The vectors less `centre`: a mean vector of the queries' kind and one of the gallery's, or ``"bank"`` for the
    means of the bank's queries and of the gallery, so that no query depends on others under test.

    >>> centred(ProblemVectors([[1.0, 2.0]], [[0.0, 4.0], [2.0, 4.0]], [[1.0, 1.0], [3.0, 1.0]], None), "bank").queries
    array([[-1.,  1.]])
    """
    queries, gallery = _means(vectors, centre)
    pairs = zip(vectors, ProblemVectors._fields, (queries, gallery, queries, gallery), strict=True)
    return ProblemVectors(*(None if some is None else _less(some, mean, name) for some, name, mean in pairs))


def _means(vectors: ProblemVectors, centre: Any) -> tuple[AnyArray, AnyArray]:
    if isinstance(centre, str):
        if centre != "bank":
            raise rule("centre", "must be 'bank' or two vectors, of the queries and of the gallery", repr(centre))
        if vectors.query_bank is None:
            raise InputError("centre='bank' needs query_bank=…: vectors of queries that are not under test")
        queries, gallery = _matrix(vectors.query_bank, "query_bank"), _matrix(vectors.gallery, "gallery")
        return queries.mean(axis=0), gallery.mean(axis=0)
    try:
        queries, gallery = (np.asarray(mean, np.float64) for mean in centre)
    except (TypeError, ValueError):
        raise rule("centre", "must be 'bank' or two vectors, of the queries and of the gallery", repr(centre)) from None
    width = (_matrix(vectors.gallery, "gallery").shape[1],)
    for mean in (queries, gallery):
        if mean.shape != width or not np.isfinite(mean).all():
            raise rule("centre", f"must be two vectors of {width[0]} finite numbers", f"shape {mean.shape}")
    return queries, gallery


def _less(vectors: Any, mean: AnyArray, argument: str) -> AnyArray:
    given = _matrix(vectors, argument)
    if given.shape[1] != len(mean):
        raise rule(argument, f"must be vectors of width {len(mean)}, as 'centre' is", f"shape {given.shape}")
    return given - mean


def _matrix(vectors: Any, argument: str) -> AnyArray:
    found: AnyArray = real_matrix(vectors, argument).astype(np.float64)
    return found
