"""What the hierarchical scorer reads of a search: its descriptions, round by round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, IntArray, to_numpy
from rerankit.errors import InputError, rule
from rerankit.features import Feature, TextLists, Texts, Tokens, as_feature
from rerankit.features.base import array_pieces
from rerankit.features.regions import counts_of
from rerankit.finite import check_finite
from rerankit.stages.hmrn.tokens import pad


class Words(Protocol):
    """What turns a text into token ids: a `Vocabulary`, or the tokenizer of a transformers model."""

    def encode(self, text: str) -> list[int]: ...

    def says_nothing(self, text: str) -> bool: ...


class Descriptions(Feature):
    """Descriptions of searches, round by round: vectors (searches, T, D), or token ids (searches, T, L).

    `lengths` (searches, T) are the words of each description; `counts` (searches,) the rounds of each search.
    Descriptions left out (an empty one under ``on_error="skip"``) do not take a round.
    """

    kind: ClassVar[str] = "descriptions"
    values: AnyArray
    lengths: IntArray | None
    counts: IntArray | None

    def __init__(self, values: Any, mask: Any = None, *, counts: Any = None, lengths: Any = None) -> None:
        array = to_numpy(values, "text")
        if array.dtype.kind not in "fiu":
            raise rule("text", "must hold vectors or token ids", f"dtype {array.dtype}")
        if array.ndim != 3:
            raise rule("text", "must have the shape (searches, rounds, dim or words)", f"shape {array.shape}")
        if 0 in array.shape:
            raise rule("text", "must have at least one search, one round and one value", f"shape {array.shape}")
        known: IntArray | None = None
        if array.dtype.kind != "f":
            known = _lengths(array, mask if lengths is None else lengths)
            mask = known > 0 if counts is None else None
            if mask is not None and not mask.any(axis=1).all():
                raise _silent(int(np.flatnonzero(~mask.any(axis=1))[0]))
        else:
            check_finite(array.reshape(len(array), -1), "text")
        self._keep(values=array, lengths=known, counts=counts_of(mask, counts, array.shape[:2], "text"))

    @classmethod
    def from_texts(
        cls, texts: Sequence[Any], vocabulary: Words, *, rounds: int | None = None, on_error: str = "raise"
    ) -> Descriptions:
        """From a list of searches, each a list of texts; the first `rounds` of each are read.

        A description that is empty or has only words the vocabulary does not list says nothing: it is
        refused, or left out with ``on_error="skip"``.
        """
        checks.choice("on_error", on_error, ("raise", "skip"))
        spoken = [_spoken(search, row, vocabulary, on_error)[:rounds] for row, search in enumerate(texts)]
        if not spoken:
            raise rule("text", "must hold at least one search", "none")
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

    def __getitem__(self, row: Any) -> AnyArray:
        """The vectors (T, D) or token ids (T, L) of one search."""
        own: AnyArray = self.values[row]
        return own if self.counts is None else own[: self.counts[row]]

    def take(self, rows: IntArray) -> Descriptions:
        lengths = None if self.lengths is None else self.lengths[rows]
        counts = None if self.counts is None else self.counts[rows]
        return self.from_checked(values=self.values[rows], lengths=lengths, counts=counts)

    def pieces(self) -> Iterator[bytes]:
        for array in (self.values, self.lengths, self.counts):
            yield from [b"none"] if array is None else array_pieces(array)

    def __repr__(self) -> str:
        searches, rounds, size = self.shape
        what = f"{size} words" if self.tokens else f"{size}"
        return f"Descriptions({searches} searches × {'up to ' * (self.counts is not None)}{rounds} rounds × {what})"


def as_descriptions(
    value: Any, vocabulary: Words | None = None, *, lengths: Any = None, counts: Any = None, on_error: str = "raise"
) -> Descriptions:
    """`value` as descriptions: an array of vectors or ids, or texts when there is a vocabulary for them.

    Texts are a list of searches, each a list of texts; or one text a search with tabs between its rounds,
    which is how files hold them.
    """
    feature = as_feature("text", value, "text")
    if isinstance(feature, Descriptions):
        return feature
    texts = text_lists(feature)
    if texts is None:
        if not isinstance(feature, Tokens) or feature.ragged:
            raise rule("text", "must hold texts, or arrays of vectors or ids (searches, rounds, size)", feature)
        known = feature.counts if counts is None else np.asarray(counts)
        return Descriptions(feature.padded(), counts=known, lengths=lengths)
    if vocabulary is None:
        raise InputError(
            "'text' holds texts, and there is no vocabulary for them: fit the stage, import it with its vocabulary, "
            "or give token ids"
        )
    return Descriptions.from_texts(texts, vocabulary, on_error=on_error)


def text_lists(feature: Feature) -> list[list[str]] | None:
    """The descriptions of each search when a feature holds texts, else None; tabs part the rounds of one text."""
    if isinstance(feature, Texts):
        return [text.split("\t") for text in feature]
    return [list(texts) for texts in feature] if isinstance(feature, TextLists) else None


def _spoken(search: Any, row: int, vocabulary: Words, on_error: str) -> list[str]:
    """The descriptions of one search that say something."""
    given = list(search)
    if not given:
        raise _silent(row)
    other = [type(text).__name__ for text in given if not isinstance(text, str)]
    if other:
        raise rule("text", "must have texts as descriptions", f"{other[0]} in search {row}")
    nothing = [number for number, text in enumerate(given) if vocabulary.says_nothing(text)]
    if nothing and on_error == "raise":
        text = given[nothing[0]]
        why = "is empty" if not text.strip() else f"has unknown words only ({text!r})"
        raise InputError(
            f"'text': description {nothing[0]} of search {row} {why}; give it words, or say on_error='skip' to leave "
            "such descriptions out"
        )
    kept = [text for number, text in enumerate(given) if number not in nothing]
    if not kept:
        raise InputError(f"'text': nothing is left of search {row}: all its descriptions are empty or unknown")
    return kept


def _silent(row: int) -> InputError:
    return InputError(f"'text' must have at least one description each (search {row} has none)")


def _lengths(ids: AnyArray, given: Any) -> IntArray:
    """Words of each description: given, or up to the last id that is not 0."""
    if int(ids.min()) < 0:
        raise rule("text", "must hold token ids of at least 0", int(ids.min()))
    if given is None:
        places = np.arange(1, ids.shape[2] + 1)
        return np.asarray((places * (ids != 0)).max(axis=2))
    lengths = to_numpy(given, "lengths")
    if lengths.shape == ids.shape:  # a mask over words
        lengths = lengths.astype(bool).sum(axis=2)
    if lengths.shape != ids.shape[:2] or int(lengths.max()) > ids.shape[2]:
        raise rule("lengths", f"must be (searches, rounds) = {ids.shape[:2]} of at most {ids.shape[2]}", lengths.shape)
    return lengths.astype(np.int64)
