"""Words to token ids, and the ways captions are joined."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit import checks
from rerankit.errors import FormatError, InputError, rule
from rerankit.extras import require

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ADDED = ("[DEC]", "[ENC]")
"""What BLIP appends to BERT's vocabulary; every text starts with [ENC], the last entry."""


class TextTokenizer:
    """BERT's WordPiece with BLIP's two added tokens: `[ENC] words … [SEP]`, lower case.

    >>> tokenizer = TextTokenizer.from_texts(["make it red", "move it left"])
    >>> ids, mask = tokenizer(["Make it left!"])
    >>> ids.tolist(), mask.tolist()
    ([[11, 7, 5, 6, 1, 3]], [[1, 1, 1, 1, 1, 1]])
    """

    def __init__(self, words: Sequence[str], *, max_tokens: int = 40) -> None:
        missing = [word for word in ("[PAD]", "[UNK]", "[SEP]") if word not in words]
        if missing:
            raise rule("vocabulary", "must hold [PAD], [UNK] and [SEP]", f"none of {', '.join(missing)}")
        if max_tokens < 3:
            raise rule("max_tokens", "must be at least 3: [ENC], a word, [SEP]", max_tokens)
        self.words = [*words, *(word for word in ADDED if word not in words)]
        self.max_tokens = max_tokens
        table = {word: place for place, word in enumerate(self.words)}
        self._first, self._last, self._pad = table["[ENC]"], table["[SEP]"], table["[PAD]"]
        parts = require("tokenizers", extra="triplet", purpose="reading text")
        self._pieces: Any = parts.Tokenizer(parts.models.WordPiece(table, unk_token="[UNK]"))
        self._pieces.normalizer = parts.normalizers.BertNormalizer(lowercase=True)
        self._pieces.pre_tokenizer = parts.pre_tokenizers.BertPreTokenizer()

    @classmethod
    def from_texts(cls, texts: Iterable[str], *, max_tokens: int = 40) -> TextTokenizer:
        """A vocabulary of the whole words of some texts, for models trained from scratch."""
        parts = require("tokenizers", extra="triplet", purpose="reading text")
        normal = parts.normalizers.BertNormalizer(lowercase=True)
        split = parts.pre_tokenizers.BertPreTokenizer()
        words = {word for text in texts for word, _ in split.pre_tokenize_str(normal.normalize_str(text))}
        return cls([*SPECIAL, *sorted(words)], max_tokens=max_tokens)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, max_tokens: int = 40) -> TextTokenizer:
        """From a BERT vocab.txt, one entry a line, or a folder that holds one."""
        file = Path(path)
        file = file / "vocab.txt" if file.is_dir() else file
        if not file.is_file():
            raise FormatError(f"no vocabulary at '{file}'; give a BERT vocab.txt")
        return cls(file.read_text(encoding="utf-8").splitlines(), max_tokens=max_tokens)

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and mask (texts, longest); longer texts are cut, with one warning that counts them."""
        check_texts(texts)
        most = self.max_tokens - 2
        pieces = [encoded.ids for encoded in self._pieces.encode_batch(list(texts))]
        cut = sum(len(ids) > most for ids in pieces)
        if cut:
            warnings.warn(
                f"{cut} of {len(pieces)} texts have more than {self.max_tokens} tokens and were cut to that",
                stacklevel=2,
            )
        longest = max((min(len(ids), most) for ids in pieces), default=0) + 2
        out = np.full((len(pieces), longest), self._pad, np.int64)
        mask = np.zeros_like(out)
        for row, ids in enumerate(pieces):
            kept = [self._first, *ids[:most], self._last]
            out[row, : len(kept)] = kept
            mask[row, : len(kept)] = 1
        return out, mask


def check_texts(texts: Sequence[str]) -> None:
    """Refuse texts that are no text, or empty ones, naming the rows."""
    wrong = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        raise rule(f"text[{wrong[0]}]", "must be a text", type(texts[wrong[0]]).__name__)
    empty = [row for row, text in enumerate(texts) if not text.strip()]
    if empty:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise InputError(f"'text' is empty in query {', '.join(map(str, empty[:5]))}{more}")


def join_captions(captions: Sequence[str], order: str = "a and b") -> str:
    """Fashion-IQ's two captions as one text: "a and b", "b and a", "a" or "b".

    >>> join_captions(["is red.", "Has no sleeves"])
    'is red and has no sleeves'
    """
    if len(captions) != 2:
        raise rule("captions", "must be the two captions of a Fashion-IQ query", list(captions))
    known = {"a and b": (0, 1), "b and a": (1, 0), "a": (0,), "b": (1,)}
    checks.choice("order", order, known)
    clean = [caption.strip().strip(".?, ").lower() for caption in captions]
    return " and ".join(clean[place] for place in known[order])


def caption_variants(captions: Sequence[str]) -> tuple[str, str, str, str]:
    """The four forms of two captions, one of which training draws at random.

    >>> caption_variants(["red", "long"])
    ('red and long', 'long and red', 'red', 'long')
    """
    a, b, one, other = (join_captions(captions, order) for order in ("a and b", "b and a", "a", "b"))
    return a, b, one, other
