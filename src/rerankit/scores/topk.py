"""The one tie rule and the one top-k kernel.

Score descending, then index ascending. Both are folded into one unsigned 64-bit key (the score's bits,
turned so that a higher score is a smaller number, above the index), so any sort or partition of the keys, stable or
not, on any number of threads, gives the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rerankit.arrays import MOST_ITEMS, FloatArray, IntArray
from rerankit.errors import rule
from rerankit.scores.blocks import blocks
from rerankit.threads import in_threads

if TYPE_CHECKING:
    from rerankit.scores.protocol import Scores

Keys = NDArray[np.uint64]
LAST = np.uint64(0xFFFF_FFFF_FFFF_FFFF)  # sorts behind every real item: stands for padding
_SIGN = np.uint32(0x8000_0000)
_LOW = np.uint64(0xFFFF_FFFF)
_PIECE_BYTES = 8_000_000  # a thread's share of a block: about what stays in the cache between two passes


def keys_of(scores: FloatArray, indices: IntArray) -> Keys:
    """Sort keys for items (indices below 2³²−1; −1 is padding and sorts last), shape as given."""
    keys: Keys = ((~ascending_bits(scores)).astype(np.uint64) << np.uint64(32)) | (indices.astype(np.uint64) & _LOW)
    padding = indices < 0
    if padding.any():
        keys[np.broadcast_to(padding, keys.shape)] = LAST
    return keys


def ascending_bits(scores: FloatArray) -> NDArray[np.uint32]:
    """The scores' bits as numbers that rise with them."""
    bits = (scores + np.float32(0)).view(np.int32)  # + 0 turns −0.0 into 0.0, which must tie with it
    # A number below 0 is turned round in all bits, another one in its sign alone.
    ascending: NDArray[np.uint32] = ((bits >> 31).view(np.uint32) | _SIGN) ^ bits.view(np.uint32)
    return ascending


def float32_of_bits(ascending: NDArray[np.uint32]) -> FloatArray:
    """The scores whose `ascending_bits` these are.

    >>> float32_of_bits(ascending_bits(np.float32([-2.5, 0, 1e-8])))
    array([-2.5e+00,  0.0e+00,  1.0e-08], dtype=float32)
    """
    bits: NDArray[np.uint32] = np.where(ascending & _SIGN, ascending ^ _SIGN, ~ascending)
    return bits.view(np.float32)


def indices_of(keys: Keys) -> IntArray:
    """The item numbers inside keys, −1 where padding."""
    indices: IntArray = np.where(keys == LAST, np.int64(-1), (keys & _LOW).astype(np.int64))
    return indices


def scores_of(keys: Keys) -> FloatArray:
    """The scores inside keys, −inf where padding."""
    values = float32_of_bits(~(keys >> np.uint64(32)).astype(np.uint32))
    scores: FloatArray = np.where(keys == LAST, np.float32(-np.inf), values)
    return scores


def order(scores: FloatArray, indices: IntArray) -> tuple[IntArray, FloatArray]:
    """Rows of items (Q, K) in the order of the tie rule, padding (index −1) last.

    >>> order(np.float32([[1, 2, 2]]), np.array([[7, 9, 3]]))
    (array([[3, 9, 7]]), array([[2., 2., 1.]], dtype=float32))
    """
    check_numbers(indices)
    if (scores[:, 1:] < scores[:, :-1]).all() and indices.min(initial=0) >= 0:  # as lists mostly come
        return indices.copy(), scores + np.float32(0)
    keys = np.sort(keys_of(scores, indices), axis=1)
    return indices_of(keys), scores_of(keys)


def check_numbers(indices: IntArray, argument: str = "indices") -> None:
    """Refuse numbers of items that a key has no room for."""
    largest = int(indices.max(initial=-1))
    if largest >= MOST_ITEMS:
        raise rule(argument, f"must be below {MOST_ITEMS}, the most items that a gallery may have", largest)


def topk_dense(block: FloatArray, k: int, first_column: int = 0) -> tuple[IntArray, FloatArray]:
    """The first k columns of each row of a dense block by the tie rule: indices and scores (rows, k).

    Cells of −inf are absent: they come out as padding. `first_column` is added to the indices.
    """
    k = min(k, block.shape[1])
    piece = max(1, _PIECE_BYTES // max(1, block.itemsize * block.shape[1]))
    pieces = [block[at : at + piece] for at in range(0, len(block), piece)]
    keys = np.concatenate(in_threads(lambda part: smallest_keys(part, k, first_column), pieces))
    return indices_of(keys), scores_of(keys)


def topk_in_blocks(scores: Scores, k: int) -> tuple[IntArray, FloatArray]:
    """The first k columns of every row of complete scores, reading a block of rows at a time."""
    parts = [topk_dense(scores.rows(block), k) for block in blocks(scores.shape[0], scores.shape[1] * 8)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def smallest_keys(block: FloatArray, k: int, first_column: int) -> Keys:
    """The k smallest keys of each row, ascending: first find a bound below which nothing can be in the top k."""
    width = block.shape[1]
    groups = 4 * k
    if width < 4 * groups:
        return select(_all_keys(block, first_column), k)
    # The k-th largest of the groups' maxima cannot exceed the k-th largest item, and only about 1.15 k
    # items reach it when no item order is special.
    members = width // groups
    whole = block[:, : members * groups]
    # The longer side goes innermost, which is what a reduction runs fast along.
    across, axis = ((members, groups), 1) if groups > members else ((groups, members), 2)
    maxima = whole.reshape(len(block), *across).max(axis=axis)
    bound = np.partition(maxima, groups - k, axis=1)[:, groups - k]
    hits = flat_nonzero(block >= bound[:, None])
    rows = hits // width
    columns = hits - rows * width
    counts = np.bincount(rows, minlength=len(block))
    if counts.max() > 8 * groups:  # many ties at the bound: the plain way needs no more memory than this
        return np.concatenate([select(_all_keys(block[i : i + 1], first_column), k) for i in range(len(block))])
    keys = np.full((len(block), int(counts.max())), LAST)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys[rows, place] = _present_keys(block[rows, columns], columns + first_column)
    return select(keys, k)


def _all_keys(block: FloatArray, first_column: int) -> Keys:
    columns = np.arange(first_column, first_column + block.shape[1], dtype=np.int64)
    return _present_keys(block, np.broadcast_to(columns, block.shape))


def _present_keys(scores: FloatArray, indices: IntArray) -> Keys:
    return keys_of(scores, np.where(np.isneginf(scores), np.int64(-1), indices))


def select(keys: Keys, k: int) -> Keys:
    if keys.shape[1] > 2 * k:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    return np.sort(keys, axis=1)[:, :k]


def flat_nonzero(mask: NDArray[np.bool_]) -> IntArray:
    """`np.flatnonzero` for a sparse contiguous mask: eight cells at a time, since nearly all words are zero."""
    flat = mask.reshape(-1)
    whole = len(flat) // 8 * 8
    # The comparison makes bytes of words, which numpy looks through much faster.
    eights = flat[:whole].view(np.uint64)
    words = np.flatnonzero(eights != 0)
    inside = np.flatnonzero(eights[words].view(np.bool_))
    hits = words[inside >> 3] * 8 + (inside & 7)
    rest = np.flatnonzero(flat[whole:])
    return np.concatenate([hits, whole + rest]) if len(rest) else hits


def merge(keys: list[tuple[IntArray, FloatArray]], k: int) -> tuple[IntArray, FloatArray]:
    """The first k of several top lists of the same rows."""
    for indices, _ in keys:
        check_numbers(indices)
    joined = np.concatenate([keys_of(scores, indices) for indices, scores in keys], axis=1)
    best = select(joined, min(k, joined.shape[1]))
    return indices_of(best), scores_of(best)
