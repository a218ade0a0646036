"""Words to ids, and joined captions."""

from __future__ import annotations

import pytest

from rerankit.errors import FormatError, InputError
from rerankit.stages.triplet.text import TextTokenizer, caption_variants, join_captions

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "##der", "shirt", ","]


def test_the_first_token_is_enc_the_last_entry():
    tokenizer = TextTokenizer(BERT)
    ids, mask = tokenizer(["Redder shirt, éclair", "red"])
    assert len(tokenizer) == 11
    assert ids.tolist() == [[10, 5, 6, 7, 8, 1, 3], [10, 5, 3, 0, 0, 0, 0]]
    assert mask.sum(1).tolist() == [7, 3]


def test_long_texts_are_cut_with_one_warning_that_counts():
    with pytest.warns(UserWarning, match="2 of 3 texts have more than 4 tokens") as caught:
        ids, _ = TextTokenizer(BERT, max_tokens=4)(["red red red", "shirt", "red " * 9])
    assert len(caught) == 1
    assert ids.tolist() == [[10, 5, 5, 3], [10, 7, 3, 0], [10, 5, 5, 3]]


def test_from_file(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(BERT), encoding="utf-8")
    assert TextTokenizer.from_file(tmp_path).words == TextTokenizer(BERT).words
    with pytest.raises(FormatError, match="no vocabulary at"):
        TextTokenizer.from_file(tmp_path / "absent.txt")


def test_what_is_refused():
    with pytest.raises(InputError, match=r"'text' is empty in query 0, 2"):
        TextTokenizer(BERT)(["", "red", "\n"])
    with pytest.raises(InputError, match=r"'text\[1\]' must be a text \(got int\)"):
        TextTokenizer(BERT)(["red", 5])
    with pytest.raises(InputError, match="'vocabulary' must hold"):
        TextTokenizer(["red"])
    with pytest.raises(InputError, match="'max_tokens' must be at least 3"):
        TextTokenizer(BERT, max_tokens=2)


def test_captions():
    assert join_captions(["Is red. ", "has no sleeves?"], "b and a") == "has no sleeves and is red"
    assert caption_variants(["a", "b"]) == ("a and b", "b and a", "a", "b")
    with pytest.raises(InputError, match="'captions' must be the two captions"):
        join_captions(["one"])
    with pytest.raises(InputError, match=r"unknown order .* Known: a, a and b, b, b and a"):
        join_captions(["a", "b"], "c")
