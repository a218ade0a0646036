"""What enters: regions and descriptions of any number, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit.errors import InputError
from rerankit.features import Regions
from rerankit.stages.hmrn.representation import Descriptions, as_descriptions
from rerankit.stages.hmrn.tokens import Vocabulary

WORDS = Vocabulary.build(["a red ball", "a dog"])


def test_reprs() -> None:
    assert repr(Regions(np.ones((2, 3, 4)))) == "Regions(2 images × 3 regions × 4)"
    assert repr(Regions(np.ones((2, 3, 4)), counts=[3, 1])) == "Regions(2 images × up to 3 regions × 4)"
    assert repr(Descriptions(np.ones((2, 3, 4)))) == "Descriptions(2 searches × 3 rounds × 4)"
    texts = [["a dog"], ["a dog", "red"]]
    assert repr(Descriptions.from_texts(texts, WORDS)) == "Descriptions(2 searches × up to 2 rounds × 3 words)"


def test_a_list_of_arrays_brings_its_counts() -> None:
    regions = Regions([np.ones((1, 2)), np.full((3, 2), 2.0)])
    values, counts = regions.block(slice(0, 2))
    assert counts.tolist() == [1, 3]
    assert values[0].tolist() == [[1, 1], [0, 0], [0, 0]]


def test_mask_counts_and_rows() -> None:
    mask = np.array([[1, 1, 0], [1, 0, 0]], bool)
    regions = Regions(np.ones((2, 3, 2)), mask)
    assert regions.counts is not None
    assert regions.counts.tolist() == [2, 1]
    assert regions.take(np.array([1])).counts.tolist() == [1]  # type: ignore[union-attr]


def test_a_memory_map_stays_one(tmp_path: Path) -> None:
    np.save(tmp_path / "regions.npy", np.ones((4, 3, 2), np.float16))
    mapped = np.load(tmp_path / "regions.npy", mmap_mode="r")
    regions = Regions(mapped)
    assert np.shares_memory(regions.values, mapped)
    assert regions.block(slice(1, 3))[0].dtype == np.float32
    some = regions.take(np.array([3, 0])).take(np.array([1]))
    assert np.shares_memory(some.values, mapped)
    assert some.shape == (1, 3, 2)
    assert some.block(slice(0, 1))[0].shape == (1, 3, 2)


def mapped_pages() -> int:
    """Bytes of files in memory, by the system's account; 0 where it gives none."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssFile"))


def test_reading_a_memory_map_gives_its_pages_back_and_keeps_what_was_changed(tmp_path: Path) -> None:
    np.save(tmp_path / "regions.npy", np.ones((300, 8, 512), np.float32))
    before = mapped_pages()
    regions = Regions(np.load(tmp_path / "regions.npy", mmap_mode="r")[1:])
    for start in range(0, 299, 10):
        assert (regions.block(slice(start, start + 10))[0] == 1).all()
    assert mapped_pages() - before < 1e6  # of the 4.9 MB that were read
    private = np.load(tmp_path / "regions.npy", mmap_mode="c")
    private[0] = 2
    private.flags.writeable = False
    for _ in range(2):
        assert (Regions(private).block(slice(0, 1))[0] == 2).all()


def test_padding_without_a_mask_is_refused() -> None:
    values = np.ones((3, 4, 2), np.float32)
    values[1, 2:] = 0
    with pytest.raises(InputError, match=r"zero vectors in 1 images \(the first: \[1\]\).*mask"):
        Regions(values).block(slice(0, 3))
    Regions(values, counts=[4, 2, 4]).block(slice(0, 3))


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        (np.ones((2, 3)), {}, "shape \\(images, regions, dim\\)"),
        (np.ones((0, 3, 2)), {}, "not be empty"),
        (np.ones((1, 3, 2)), {"mask": [[True, False, True]]}, "first entries"),
        (np.ones((1, 3, 2)), {"mask": [[True, False]]}, r"shape \(1, 3\)"),
        (np.ones((2, 3, 2)), {"counts": [3, 0]}, r"1…3 \(got 0 in row 1"),
        ([np.ones((2, 3)), np.ones((2, 4))], {}, r"one width \(got widths \[3, 4\]"),
        ([], {}, "at least one region"),
    ],
)
def test_bad_regions(values: object, more: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Regions(values, **more)


def test_regions_must_be_finite() -> None:
    with pytest.raises(InputError, match=r"regions.*finite"):
        Regions(np.full((1, 2, 2), np.nan)).block(slice(0, 1))


def test_empty_and_unknown_descriptions_are_refused_or_left_out() -> None:
    texts = [["a dog"], ["red", "", "zebra !", "a ball"]]
    with pytest.raises(InputError, match=r"description 1 of search 1 is empty.*on_error='skip'"):
        Descriptions.from_texts(texts, WORDS)
    with pytest.raises(InputError, match=r"description 0 of search 0 has unknown words only .'zebra'."):
        Descriptions.from_texts([["zebra"]], WORDS)
    made = Descriptions.from_texts(texts, WORDS, on_error="skip")
    assert made.counts is not None
    assert made.counts.tolist() == [1, 2]
    assert made.values[1].tolist() == [[*WORDS.encode("red"), 0], WORDS.encode("a ball")]
    with pytest.raises(InputError, match="nothing is left of search 0"):
        Descriptions.from_texts([["zebra", ""]], WORDS, on_error="skip")
    with pytest.raises(InputError, match="search 0 has none"):
        Descriptions.from_texts([[]], WORDS)
    with pytest.raises(InputError, match=r"'text' must have texts as descriptions \(got NoneType in search 1\)"):
        Descriptions.from_texts([["a dog"], ["red", None]], WORDS)


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        (np.ones((2, 0, 4)), {}, "at least one search, one round"),
        (np.ones((2, 4)), {}, "shape"),
        (np.full((1, 1, 2), np.inf), {}, "finite"),
        (np.full((1, 1, 2), -1), {}, "at least 0"),
        (np.zeros((1, 2, 2), int), {}, "search 0 has none"),
        (np.zeros((1, 2, 2)), {"counts": [0]}, r"1…2 \(got 0"),
        (np.ones((1, 2, 2), int), {"lengths": [[3, 1]]}, "at most 2"),
        (np.array([[["a"]]]), {}, "vectors or token ids"),
    ],
)
def test_bad_descriptions(values: object, more: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Descriptions(values, **more)


def test_texts_need_a_vocabulary() -> None:
    with pytest.raises(InputError, match="no vocabulary"):
        as_descriptions([["a dog"]])
    assert as_descriptions(["a dog", "red ball"], WORDS).shape == (2, 1, 3)


def test_texts_as_files_hold_them() -> None:
    lists = [["a dog", "red"], ["a ball"]]
    wanted = as_descriptions(lists, WORDS)
    for given in (
        ["a dog\tred", "a ball"],
        np.array(["a dog\tred", "a ball"]),
        np.array([["a dog", "red"], ["a ball", ""]]),
        np.array([["a dog", "red"], ["a ball"]], dtype=object),
    ):
        found = as_descriptions(given, WORDS)
        np.testing.assert_array_equal(found.values, wanted.values)
        np.testing.assert_array_equal(found.counts, wanted.counts)
