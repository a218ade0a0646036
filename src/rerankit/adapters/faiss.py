"""FAISS: an index as the source of candidates, and of a graph of neighbours among its items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit import checks
from rerankit.arrays import IntArray, float32, real_matrix
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.scores.blocks import blocks
from rerankit.scores.distances import ListMetric
from rerankit.scores.lists import ListScores

if TYPE_CHECKING:
    from rerankit.problem import Problem

_SIMILAR = ("METRIC_INNER_PRODUCT", "METRIC_Jaccard")
"""FAISS's metrics by which higher is better; all others are distances."""
_BLOCK = 4096  # items of an index that look for their neighbours together


def problem_of(index: Any, queries: Any, k: int = 100, **rest: Any) -> Problem:
    """The first k items of an index for every query vector (queries, d), as a problem of lists.

    Whether higher is better is the index's own metric; by L2 a score is minus the squared distance. Items are numbered
    as they were added; ids that an index gives them (`add_with_ids`) become the ids of the gallery. What an approximate
    index misses is absent.
    `rest` goes to `Problem`: ids, features, `gallery_scores=neighbours_of(index)`.
    """
    from rerankit.problem import Problem

    faiss = _library(index)
    vectors = float32(real_matrix(queries, "queries"), "queries")
    _check_width(index, vectors, "queries")
    inner, ids = _opened(faiss, index)
    distances, found = index.search(np.ascontiguousarray(vectors), min(checks.integer("k", k, least=1), index.ntotal))
    if ids is not None:
        found = _rows(found, ids)
        rest = {"gallery_ids": ids, **rest}
    metric: ListMetric = "dot" if _is_similarity(faiss, inner) else "l2"
    return Problem.from_rankings(found, np.where(found >= 0, distances, 0), index.ntotal, metric=metric, **rest)


def neighbours_of(index: Any, k: int = 50) -> ListScores:
    """The k nearest items of every item of an index (the item itself among them), as `gallery_scores` of a problem.

    The vectors are read back from the index (`reconstruct_n`) block by block; a compressed index gives them as it has
    them.
    """
    faiss = _library(index)
    inner, _ = _opened(faiss, index)
    _check_readable(faiss, inner)
    wanted = min(checks.integer("k", k, least=1), index.ntotal)
    parts = []
    for block in blocks(index.ntotal, 4 * index.d + 12 * wanted, least=_BLOCK):
        vectors = inner.reconstruct_n(block.start, block.stop - block.start)
        parts.append(inner.search(np.ascontiguousarray(vectors), wanted))
    distances, found = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
    scores = distances if _is_similarity(faiss, inner) else -distances
    return ListScores(found, np.where(found >= 0, scores, 0), index.ntotal)


def _library(index: Any) -> Any:
    faiss = require("faiss", extra="faiss", purpose="an index of FAISS")
    if not isinstance(index, faiss.Index):
        raise rule("index", "must be an index of FAISS over vectors of numbers", type(index).__name__)
    if not index.ntotal:
        raise rule("index", "must hold items: index.add(vectors)", "none")
    return faiss


def _opened(faiss: Any, index: Any) -> tuple[Any, IntArray | None]:
    """The index that holds the vectors, and the ids that another one around it gives them."""
    found = faiss.downcast_index(index)
    if isinstance(found, faiss.IndexIDMap | faiss.IndexIDMap2):
        return faiss.downcast_index(found.index), faiss.vector_to_array(found.id_map)
    return found, _given_ids(faiss, found)


def _given_ids(faiss: Any, index: Any) -> IntArray | None:
    """The ids, ascending, that an index of inverted lists was given (`add_with_ids`); None where it counts items."""
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is None:
        return None
    lists = inverted.invlists
    sizes = [lists.list_size(number) for number in range(lists.nlist)]
    parts = [faiss.rev_swig_ptr(lists.get_ids(number), size) for number, size in enumerate(sizes) if size]
    if min(int(part.min()) for part in parts) == 0 and max(int(part.max()) for part in parts) == index.ntotal - 1:
        return None
    return np.sort(np.concatenate(parts))


def _check_readable(faiss: Any, index: Any) -> None:
    """Refuse an index that gives no vectors back: FAISS ends the program when it is asked for several of them."""
    if faiss.try_extract_index_ivf(index) is not None:
        if _given_ids(faiss, index) is not None:
            text = "must count its items for their neighbours: give ids by an IndexIDMap2 around it"
            raise rule("index", text, f"{type(index).__name__} with ids of its own")
        return
    try:
        index.reconstruct(0)
    except RuntimeError as cause:
        raise rule("index", "must give its vectors back (reconstruct)", type(index).__name__) from cause


def _is_similarity(faiss: Any, index: Any) -> bool:
    return index.metric_type in [getattr(faiss, name) for name in _SIMILAR if hasattr(faiss, name)]


def _check_width(index: Any, vectors: Any, argument: str) -> None:
    if vectors.shape[1] != index.d:
        raise rule(argument, f"must have the index's width, {index.d}", f"shape {vectors.shape}")


def _rows(found: IntArray, ids: IntArray) -> IntArray:
    """Where each id that was found stands among the ids, −1 where nothing was found."""
    order = np.argsort(ids)
    places = np.minimum(np.searchsorted(ids[order], found), len(ids) - 1)
    return np.where(found >= 0, order[places], -1)
