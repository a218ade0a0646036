"""What the hierarchical scorer reads: images as sets of regions, searches as descriptions round by round.

Both are checked at the door, know their lengths (R and T may vary), and can be indexed like the feature
arrays of a problem. Regions stay where they are (a memory map is read block by block).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, check_finite, leave_on_disk, to_numpy
from rerankit.errors import InputError, rule
from rerankit.stages.hmrn.tokens import pad

_SHOWN = 3


class Words(Protocol):
    """What turns a text into token ids: a `Vocabulary`, or the tokenizer of a transformers model."""

    def encode(self, text: str) -> list[int]: ...

    def says_nothing(self, text: str) -> bool: ...


class Regions:
    """Region vectors of images: `values` (images, R, D) and how many of them each image has, (images,).

    `mask` (images, R) or `counts` (images,) says which are real; the real ones come first. A list of
    (R_i, D) arrays brings its own counts.

    >>> Regions([np.ones((2, 4)), np.ones((3, 4))])
    Regions(2 images × up to 3 regions × 4)
    """

    def __init__(self, values: Any, mask: Any = None, *, counts: Any = None) -> None:
        if isinstance(values, list | tuple) and not (mask is not None or counts is not None):
            values, counts = _stacked(values)
        array = to_numpy(values, "regions")
        if array.dtype == object or array.dtype.kind not in "fiu":
            raise rule("regions", "must hold real numbers in three dimensions", f"dtype {array.dtype}")
        if array.ndim != 3 or 0 in array.shape:
            raise rule("regions", "must have the shape (images, regions, dim) and not be empty", f"shape {array.shape}")
        self.values: AnyArray = array
        self.rows: IntArray = np.arange(len(array))
        self.counts: IntArray | None = _counts(mask, counts, array.shape[:2], "regions")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, R, D)."""
        return len(self), self.values.shape[1], self.values.shape[2]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: Any) -> Regions:
        """Some images; their vectors stay where they are until a block of them is read."""
        chosen = copy.copy(self)
        chosen.rows = self.rows[rows]
        chosen.counts = None if self.counts is None else self.counts[rows]
        return chosen

    def block(self, rows: slice) -> tuple[FloatArray, IntArray]:
        """Some images' vectors in float32, checked, and their counts."""
        values = np.asarray(self.values[self.rows[rows]], dtype=np.float32)
        leave_on_disk(self.values)
        counts = np.full(len(values), self.shape[1]) if self.counts is None else self.counts[rows]
        check_finite(values.reshape(len(values), -1), "regions", rows.start or 0)
        if self.counts is None:
            self._refuse_padding(values, rows.start or 0)
        return values, counts

    def within(self, rows: slice, slots: int) -> tuple[FloatArray, IntArray]:
        """Some images' vectors in at most `slots` places, and their counts; more regions than that are refused."""
        values, counts = self.block(rows)
        if int(counts.max()) > slots:
            raise rule("regions", f"must have at most {slots} regions an image, as the network", int(counts.max()))
        return values[:, :slots], counts

    def _refuse_padding(self, values: FloatArray, first: int) -> None:
        """A zero vector without a mask is padding nobody declared; counted as a region it would bend every mean."""
        zero = (values == 0).all(axis=2)
        if zero.any():
            images = np.flatnonzero(zero.any(axis=1)) + first
            raise InputError(
                f"'regions' has zero vectors in {len(images)} images (the first: {images[:_SHOWN].tolist()}) and no "
                "mask: when images have different numbers of regions, give Regions(values, mask=… or counts=…)"
            )

    def __repr__(self) -> str:
        images, size, dim = self.shape
        return f"Regions({images} images × {'up to ' * (self.counts is not None)}{size} regions × {dim})"


class Descriptions:
    """Descriptions of searches, round by round: vectors (searches, T, D), or token ids (searches, T, L).

    `lengths` (searches, T) are the words of each description; `counts` (searches,) the rounds of each search.
    Descriptions left out (an empty one under ``empty="skip"``) do not take a round.
    """

    def __init__(self, values: Any, mask: Any = None, *, counts: Any = None, lengths: Any = None) -> None:
        array = to_numpy(values, "queries")
        if array.dtype.kind not in "fiu":
            raise rule("queries", "must hold vectors or token ids", f"dtype {array.dtype}")
        if array.ndim != 3:
            raise rule("queries", "must have the shape (searches, rounds, dim or words)", f"shape {array.shape}")
        if 0 in array.shape:
            raise rule("queries", "must have at least one search, one round and one value", f"shape {array.shape}")
        self.values: AnyArray = array
        self.lengths: IntArray | None = None
        if array.dtype.kind != "f":
            self.lengths = _lengths(array, mask if lengths is None else lengths)
            mask = self.lengths > 0 if counts is None else None
            if mask is not None and not mask.any(axis=1).all():
                raise _silent(int(np.flatnonzero(~mask.any(axis=1))[0]))
        else:
            check_finite(array.reshape(len(array), -1), "queries")
        self.counts: IntArray | None = _counts(mask, counts, array.shape[:2], "queries")

    @classmethod
    def from_texts(
        cls, texts: Sequence[Any], vocabulary: Words, *, rounds: int | None = None, empty: str = "refuse"
    ) -> Descriptions:
        """From a list of searches, each a list of texts; the first `rounds` of each are read.

        A description that is empty or has only words the vocabulary does not list says nothing: it is
        refused, or left out with ``empty="skip"``.
        """
        if empty not in ("refuse", "skip"):
            raise rule("empty", "must be 'refuse' or 'skip'", empty)
        spoken = [_spoken(search, row, vocabulary, empty)[:rounds] for row, search in enumerate(texts)]
        if not spoken:
            raise rule("queries", "must hold at least one search", "none")
        lists = [[vocabulary.encode(text) for text in search] for search in spoken]
        ids, lengths = pad(lists, max(map(len, lists)))
        return cls(ids, lengths=lengths)

    @property
    def tokens(self) -> bool:
        """Whether these are token ids, still to be encoded."""
        return self.lengths is not None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(searches, T, D or words)."""
        searches, rounds, size = self.values.shape
        return searches, rounds, size

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> Descriptions:
        lengths = None if self.lengths is None else self.lengths[rows]
        counts = None if self.counts is None else self.counts[rows]
        return Descriptions(self.values[rows], counts=counts, lengths=lengths)

    def __repr__(self) -> str:
        searches, rounds, size = self.shape
        what = f"{size} words" if self.tokens else f"{size}"
        return f"Descriptions({searches} searches × {'up to ' * (self.counts is not None)}{rounds} rounds × {what})"


def as_regions(value: Any) -> Regions:
    """`value` as regions, checked."""
    return value if isinstance(value, Regions) else Regions(value)


def as_descriptions(
    value: Any, vocabulary: Words | None = None, *, lengths: Any = None, counts: Any = None, empty: str = "refuse"
) -> Descriptions:
    """`value` as descriptions: an array of vectors or ids, or texts when there is a vocabulary for them.

    Texts are a list of searches, each a list of texts; or one text a search with tabs between its rounds,
    which is how files hold them.
    """
    if isinstance(value, Descriptions):
        return value
    texts = _texts(value)
    if texts is None:
        return Descriptions(value, counts=counts, lengths=lengths)
    if vocabulary is None:
        raise InputError(
            "'queries' holds texts, and there is no vocabulary for them: fit the stage, import it with its vocabulary, "
            "or give token ids"
        )
    return Descriptions.from_texts(texts, vocabulary, empty=empty)


def text_lists(value: Any) -> list[list[str]] | None:
    """The descriptions of each search when `value` holds texts, else None."""
    found = _texts(value)
    return None if found is None else [[one] if isinstance(one, str) else list(one) for one in found]


def _texts(value: Any) -> list[Any] | None:
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.tolist()
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "U":
            return None
        rows = value.tolist() if value.ndim > 1 else [text.split("\t") for text in value.tolist()]
        # In an array, texts that are empty at the end of a row stand for rounds a search does not have.
        return [row[: max((n for n, text in enumerate(row, 1) if text), default=1)] for row in rows]
    first = value[0] if isinstance(value, list | tuple) and value else None
    spoken = isinstance(first, str) or (isinstance(first, list | tuple) and (not first or isinstance(first[0], str)))
    return [one.split("\t") if isinstance(one, str) else one for one in value] if spoken else None


def _spoken(search: Any, row: int, vocabulary: Words, empty: str) -> list[str]:
    """The descriptions of one search that say something."""
    given = list(search)
    if not given:
        raise _silent(row)
    other = [type(text).__name__ for text in given if not isinstance(text, str)]
    if other:
        raise rule("queries", "must have texts as descriptions", f"{other[0]} in search {row}")
    nothing = [number for number, text in enumerate(given) if vocabulary.says_nothing(text)]
    if nothing and empty == "refuse":
        text = given[nothing[0]]
        why = "is empty" if not text.strip() else f"has unknown words only ({text!r})"
        raise InputError(
            f"'queries': description {nothing[0]} of search {row} {why}; give it words, or say empty='skip' to leave "
            "such descriptions out"
        )
    kept = [text for number, text in enumerate(given) if number not in nothing]
    if not kept:
        raise InputError(f"'queries': nothing is left of search {row}: all its descriptions are empty or unknown")
    return kept


def _silent(row: int) -> InputError:
    return InputError(f"'queries' must have at least one description each (search {row} has none)")


def _stacked(values: Sequence[Any]) -> tuple[AnyArray, IntArray | None]:
    """A list of (R_i, D) arrays as one padded array and counts."""
    arrays = [to_numpy(value, "regions") for value in values]
    if not arrays or any(array.ndim != 2 or 0 in array.shape for array in arrays):
        raise rule("regions", "as a list must hold (regions, dim) arrays with at least one region", "another shape")
    dims = {array.shape[1] for array in arrays}
    if len(dims) > 1:
        raise rule("regions", "must have vectors of one width", f"widths {sorted(dims)}")
    counts = np.array([len(array) for array in arrays])
    padded = np.zeros((len(arrays), int(counts.max()), dims.pop()), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded, counts if len(set(counts.tolist())) > 1 else None


def _lengths(ids: AnyArray, given: Any) -> IntArray:
    """Words of each description: given, or up to the last id that is not 0."""
    if int(ids.min()) < 0:
        raise rule("queries", "must hold token ids of at least 0", int(ids.min()))
    if given is None:
        places = np.arange(1, ids.shape[2] + 1)
        return np.asarray((places * (ids != 0)).max(axis=2))
    lengths = to_numpy(given, "lengths")
    if lengths.shape == ids.shape:  # a mask over words
        lengths = lengths.astype(bool).sum(axis=2)
    if lengths.shape != ids.shape[:2] or int(lengths.max()) > ids.shape[2]:
        raise rule("lengths", f"must be (searches, rounds) = {ids.shape[:2]} of at most {ids.shape[2]}", lengths.shape)
    return lengths.astype(np.int64)


def _counts(mask: Any, counts: Any, shape: tuple[int, ...], argument: str) -> IntArray | None:
    """Valid entries of each row from a mask whose true entries come first, or from counts; None when all are."""
    rows, size = shape[0], shape[1]
    if mask is not None:
        keep = to_numpy(mask, f"{argument} mask").astype(bool)
        if keep.shape != (rows, size):
            raise rule(f"{argument} mask", f"must have shape {(rows, size)}", f"shape {keep.shape}")
        counts = keep.sum(axis=1)
        late = np.flatnonzero((keep[:, 1:] & ~keep[:, :-1]).any(axis=1))
        if len(late):
            raise rule(
                f"{argument} mask", "must keep a row's first entries and drop the rest", f"gaps in row {late[0]}"
            )
    if counts is None:
        return None
    array = to_numpy(counts, f"{argument} counts").astype(np.int64)
    if array.shape != (rows,):
        raise rule(f"{argument} counts", f"must have one entry for each of the {rows} rows", f"shape {array.shape}")
    bad = np.flatnonzero((array < 1) | (array > size))
    if len(bad):
        raise rule(
            f"{argument} counts", f"must be in 1…{size}", f"{array[bad[0]]} in row {bad[0]}, {len(bad)} such rows"
        )
    return None if (array == size).all() else array
