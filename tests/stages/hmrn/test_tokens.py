"""The tokenizer, the vocabulary, and the published pickle read without its code."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import pytest

from rerankit.errors import FormatError, InputError
from rerankit.stages.hmrn.tokens import SPECIAL, Vocabulary, tokenize


def test_vocabulary_repr() -> None:
    assert repr(Vocabulary.build(["a dog"])) == "Vocabulary(6 words)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I can't see John's car", ["i", "ca", "n't", "see", "john", "'s", "car"]),
        ("They’re here; we'd go", ["they", "'re", "here", ";", "we", "'d", "go"]),
        ("at 10:30 a.m., 1,000 t-shirts", ["at", "10:30", "a.m.", ",", "1,000", "t-shirts"]),
        ('a sign says "stop"', ["a", "sign", "says", "``", "stop", "''"]),
        ("cannot 3.5m tall… 2x4", ["can", "not", "3.5m", "tall", "...", "2x4"]),
        ("café naïve (red)", ["café", "naïve", "(", "red", ")"]),
        ("  \n", []),
    ],
)
def test_tokenize(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


def test_build_orders_by_frequency_then_alphabet_and_drops_rare_words() -> None:
    words = Vocabulary.build(["b a b", "c b a"], least=2)
    assert words.words == (*SPECIAL, "b", "a")
    assert words.encode("B c") == [4, 3, 2]
    assert words.says_nothing("c, c!")
    assert not words.says_nothing("c a")


def test_save_and_load(tmp_path: Path) -> None:
    words = Vocabulary.build(["a café's sign"])
    words.save(tmp_path / "words.json")
    assert Vocabulary.load(tmp_path / "words.json") == words


def test_the_published_pickle_is_read_without_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("vocab")

    class Vocabulary_:  # noqa: N801
        pass

    Vocabulary_.__module__, Vocabulary_.__qualname__, Vocabulary_.__name__ = "vocab", "Vocabulary", "Vocabulary"
    module.Vocabulary = Vocabulary_  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vocab", module)
    made = Vocabulary_()
    made.word2idx = {word: number for number, word in enumerate([*SPECIAL, "dog"])}  # type: ignore[attr-defined]
    (tmp_path / "vg_vocab.pkl").write_bytes(pickle.dumps(made))
    monkeypatch.delitem(sys.modules, "vocab")
    assert Vocabulary.load(tmp_path / "vg_vocab.pkl").encode("dog") == [4, 2]
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(print))
    with pytest.raises(FormatError, match=r"it holds 'builtins\.print', which is not data"):
        Vocabulary.load(tmp_path / "bad.pkl")


def test_bad_vocabularies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must begin with <pad>"):
        Vocabulary(["a", "b"])
    with pytest.raises(InputError, match=r"unique.*'a'"):
        Vocabulary([*SPECIAL, "a", "a"])
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(FormatError, match="must hold a list"):
        Vocabulary.load(tmp_path / "x.json")
    with pytest.raises(FormatError, match="no such file"):
        Vocabulary.load(tmp_path / "y.json")
