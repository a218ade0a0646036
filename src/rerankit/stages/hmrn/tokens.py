"""Words of short descriptions: a tokenizer in the Penn Treebank's manner, and the vocabulary of the GRU encoder.

Published vocabularies were built with such a tokenizer, so its splits matter: "the dog's ear" is four words.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rerankit.arrays import IntArray
from rerankit.errors import FormatError, InputError, rule
from rerankit.files import atomic
from rerankit.reading import Record, read_json, read_pickle

PAD, START, END, UNKNOWN = "<pad>", "<start>", "<end>", "<unk>"
SPECIAL = (PAD, START, END, UNKNOWN)
END_ID, UNKNOWN_ID = 2, 3

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "--", "…": "..."})
_WORD = re.compile(
    r"""\.\.\.|--                                # an ellipsis, a dash
    | \d+(?:[.,:/]\d+)+[^\W_]*                  # 1,000, 3.5, 10:30, 1/2, 3.5m
    | (?:[^\W\d_]\.){2,}                         # u.s., a.m.
    | [^\W_]+(?:['-][^\W_]+)*                    # words and numbers, also with inner hyphens and apostrophes
    | \S                                         # anything else stands alone
    """,
    re.VERBOSE,
)
_NEGATED = re.compile(r"(.+)(n't)")
_CLITIC = re.compile(r"(.+)('(?:s|re|ve|ll|d|m))")
_JOINED = {"cannot": ["can", "not"], "gonna": ["gon", "na"], "gotta": ["got", "ta"], "wanna": ["wan", "na"]}


def tokenize(text: str) -> list[str]:
    """The words and marks of a text, lower case, with contractions taken apart.

    >>> tokenize("The dog's ear isn't visible, 2 t-shirts hang…")
    ['the', 'dog', "'s", 'ear', 'is', "n't", 'visible', ',', '2', 't-shirts', 'hang', '...']
    """
    plain = unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHIC)).translate(_TYPOGRAPHIC).lower()
    return [part for found in _WORD.finditer(plain) for part in _parts(found[0], plain, found.start())]


def _parts(word: str, text: str, start: int) -> list[str]:
    if word == '"':
        return ["``" if start == 0 or text[start - 1] in " \t\n([{<" else "''"]
    if word in _JOINED:
        return _JOINED[word]
    split = _NEGATED.fullmatch(word) or _CLITIC.fullmatch(word)
    return list(split.groups()) if split else [word]


class Vocabulary:
    """Words and their ids; the first four ids stand for padding, start, end and any other word.

    >>> words = Vocabulary.build(["a red ball", "a dog"])
    >>> words
    Vocabulary(8 words)
    >>> words.encode("A RED balloon")
    [4, 7, 3, 2]
    """

    def __init__(self, words: Sequence[str]) -> None:
        if tuple(words[:4]) != SPECIAL:
            raise rule("words", f"must begin with {', '.join(SPECIAL)}", list(words[:4]))
        self.words = tuple(words)
        self._ids = {word: number for number, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise rule("words", "must be unique", f"{len(twice)} repeated, such as {twice[:3]}")

    @classmethod
    def build(cls, texts: Iterable[str], *, least: int = 1) -> Vocabulary:
        """All words that occur at least `least` times, the most frequent first, then by the alphabet."""
        counts = Counter(word for text in texts for word in tokenize(text))
        kept = sorted((word for word, count in counts.items() if count >= least and word not in SPECIAL))
        return cls([*SPECIAL, *sorted(kept, key=lambda word: -counts[word])])

    def encode(self, text: str) -> list[int]:
        """Ids of the words of a text and the end; an unlisted word becomes the id of unknown words."""
        return [self._ids.get(word, UNKNOWN_ID) for word in tokenize(text)] + [END_ID]

    def says_nothing(self, text: str) -> bool:
        """Whether a text is empty or has unknown words only."""
        return not any(word in self._ids for word in tokenize(text))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the words as JSON."""
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(self.words, ensure_ascii=False, indent=0), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """From a JSON list of words, or from the pickle DrillDown publishes (read without running its code)."""
        file = Path(path)
        published = file.suffix in (".pkl", ".pickle")
        words = _read_published(file) if published else read_json(file, list)
        if not all(isinstance(word, str) for word in words):
            raise FormatError(f"{file}: must hold a JSON list of words")
        try:
            return cls(words)
        except InputError as error:
            raise FormatError(f"{file}: {error}") from error

    def __len__(self) -> int:
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words)"


def _read_published(file: Path) -> list[str]:
    """The words of the vocabulary that DrillDown publishes: a pickled object, read without its code."""
    read = read_pickle(file, records=("*.Vocabulary",))
    ids = read.attributes.get("word2idx") if isinstance(read, Record) else None
    if not isinstance(ids, dict) or not all(isinstance(w, str) and type(n) is int for w, n in ids.items()):
        raise FormatError(f"'{file}' must hold a published vocabulary, with 'word2idx' from words to whole numbers")
    by_id = sorted((number, word) for word, number in ids.items())
    if [number for number, _ in by_id] != list(range(len(by_id))):
        raise FormatError(f"'{file}': ids must be 0…{len(by_id) - 1}, each once")
    return [word for _, word in by_id]


def pad(lists: Sequence[Sequence[Sequence[int]]], rounds: int) -> tuple[IntArray, IntArray]:
    """Token lists of searches as ids (c, rounds, L) padded with 0, and lengths (c, rounds), 0 where no description."""
    import numpy as np

    longest = max((len(tokens) for search in lists for tokens in search), default=0)
    if longest == 0:
        raise InputError("'queries' must hold at least one description with words")
    ids = np.zeros((len(lists), rounds, longest), np.int64)
    lengths = np.zeros((len(lists), rounds), np.int64)
    for row, search in enumerate(lists):
        for number, tokens in enumerate(search):
            ids[row, number, : len(tokens)] = tokens
            lengths[row, number] = len(tokens)
    return ids, lengths
