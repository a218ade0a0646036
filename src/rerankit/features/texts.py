"""Texts of items: one each, or several each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import rule
from rerankit.features.base import Feature, array_pieces, text_pieces


class Texts(Feature):
    """A text for each item.

    >>> texts = Texts(["a cat", "a dog"])
    >>> texts, texts[1]
    (Texts(2 items), 'a dog')
    """

    kind: ClassVar[str] = "texts"
    values: tuple[str, ...]

    def __init__(self, values: Any, argument: str = "texts") -> None:
        self._keep(values=_texts(_listed(values, argument), argument, "row"))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: Any) -> str:
        text: str = self.values[row]
        return text

    def take(self, rows: IntArray) -> Texts:
        return self.from_checked(values=tuple(self.values[row] for row in rows.tolist()))

    def pieces(self) -> Iterator[bytes]:
        return text_pieces(self.values)

    def to_arrays(self) -> dict[str, AnyArray]:
        return {"": np.array(self.values, dtype=np.str_)}


class TextLists(Feature):
    """Several texts for each item, such as the captions of a picture or the turns of a dialogue.

    >>> TextLists([["a cat", "it sleeps"], ["a dog"]])[0]
    ('a cat', 'it sleeps')
    """

    kind: ClassVar[str] = "lists of texts"
    values: tuple[tuple[str, ...], ...]

    def __init__(self, values: Any, argument: str = "texts") -> None:
        rows = _listed(values, argument)
        for row, texts in enumerate(rows):
            if isinstance(texts, str) or not isinstance(texts, Sequence | np.ndarray):
                raise rule(argument, "must be a list of texts for each item", f"{texts!r} at row {row}")
        self._keep(values=tuple(_texts(list(texts), argument, f"row {row}, place") for row, texts in enumerate(rows)))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: Any) -> tuple[str, ...]:
        texts: tuple[str, ...] = self.values[row]
        return texts

    def take(self, rows: IntArray) -> TextLists:
        return self.from_checked(values=tuple(self.values[row] for row in rows.tolist()))

    def pieces(self) -> Iterator[bytes]:
        yield from array_pieces(np.array([len(texts) for texts in self.values], np.int64))
        yield from text_pieces(text for texts in self.values for text in texts)

    def to_arrays(self) -> dict[str, AnyArray]:
        texts = [text for texts in self.values for text in texts]
        return {
            "texts": np.array(texts, dtype=np.str_),
            "counts": np.array([len(one) for one in self.values], np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, AnyArray], argument: str) -> TextLists:
        """What `to_arrays` gave."""
        counts = np.asarray(arrays["counts"])
        if counts.dtype.kind not in "iu" or (counts.size and counts.min() < 0) or counts.sum() != len(arrays["texts"]):
            raise rule(f"{argument}/counts", f"must add up to the {len(arrays['texts'])} texts", int(counts.sum()))
        ends = np.cumsum(counts)
        texts = _texts(arrays["texts"].tolist(), argument, "place")
        return cls.from_checked(values=tuple(texts[end - count : end] for end, count in zip(ends, counts, strict=True)))


def _listed(values: Any, argument: str) -> list[Any]:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise rule(
            argument, "must have one entry per item", repr(values) if isinstance(values, str) else type(values).__name__
        )
    return list(values.tolist() if isinstance(values, np.ndarray) else values)


def _texts(values: Sequence[Any], argument: str, where: str) -> tuple[str, ...]:
    for row, text in enumerate(values):
        if not isinstance(text, str):
            raise rule(argument, "must hold texts", f"{text!r} at {where} {row}")
    return tuple(map(str, values))  # numpy's own texts become Python's
