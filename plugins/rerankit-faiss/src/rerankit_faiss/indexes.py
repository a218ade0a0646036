"""Indexes of FAISS, made so that the same vectors give the same index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from rerankit import checks
from rerankit.errors import InputError, MissingExtraError, rule

Metric = Literal["cosine", "dot", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "dot", "euclidean")
FLAT_UP_TO = 50_000
"""Items that are searched one and all where nobody says otherwise: it takes milliseconds, and misses nothing."""


def library() -> Any:
    """The package faiss."""
    try:
        import faiss
    except ImportError as cause:
        raise MissingExtraError("rerankit-faiss needs the package 'faiss': pip install faiss-cpu") from cause
    return faiss


def vectors_of(values: Any, argument: str, metric: str) -> NDArray[np.float32]:
    """Vectors (items, d) as FAISS takes them; of length 1 for cosine."""
    array = np.ascontiguousarray(values, np.float32)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise rule(argument, "must be vectors (items, d) of finite numbers", f"shape {array.shape}")
    if metric != "cosine":
        return array
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    unit: NDArray[np.float32] = array / np.where(lengths > 0, lengths, np.float32(1))
    return unit


def built(gallery: NDArray[np.float32], metric: str, kind: str | None) -> Any:
    """An index over vectors; `kind` is a text of FAISS's index factory."""
    faiss = library()
    chosen = kind or ("Flat" if len(gallery) <= FLAT_UP_TO else "HNSW32")
    distance = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    with one_thread(faiss):  # with more, the graph of HNSW is another one every time
        try:
            index = faiss.index_factory(gallery.shape[1], chosen, distance)
            index.train(gallery)
            index.add(gallery)
        except RuntimeError as cause:
            raise rule("index", f"must be a kind of index that fits the vectors: {_reason(cause)}", chosen) from cause
    return index


def set_up(index: Any, settings: str) -> None:
    """Set what a search may cost, such as ``"nprobe=16"`` or ``"efSearch=128"``; several are joined by commas."""
    try:
        library().ParameterSpace().set_index_parameters(index, settings)
    except RuntimeError as cause:
        raise InputError(f"'settings' must fit the index (got {settings!r}): {_reason(cause)}") from cause


def size_of(index: Any) -> int:
    """The bytes of an index, as it would be written."""
    faiss, count = library(), 0

    def counted(piece: bytes) -> int:
        nonlocal count
        count += len(piece)
        return len(piece)

    faiss.write_index(index, faiss.PyCallbackIOWriter(counted))
    return count


def check_metric(metric: str) -> Metric:
    """One of the metrics."""
    checks.choice("metric", metric, METRICS)
    return cast(Metric, metric)


@contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """A block in which FAISS works with one thread."""
    usual = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(usual)


def _reason(cause: RuntimeError) -> str:
    """FAISS's own words, without the place in its sources."""
    return " ".join(str(cause).rpartition(": Error: ")[2].rpartition("failed: ")[2].split()) or str(cause)
