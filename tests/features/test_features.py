"""Kinds of features: each checks, counts, takes rows, is told apart, is written and read."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import rerankit
from rerankit import Problem
from rerankit.errors import FormatError, InputError
from rerankit.features import (
    Feature,
    Pictures,
    Regions,
    TextLists,
    Texts,
    Tokens,
    Vectors,
    as_feature,
    feature_arrays,
    feature_from,
)

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 255, (3, 4, 5, 3), np.uint8)
KINDS: dict[str, Feature] = {
    "texts": Texts(["a", "", "c\nd"]),
    "lists of texts": TextLists([["a", "b"], [], ["c"]]),
    "numbers": Vectors([1, 2, 3]),
    "vectors": Vectors(RANDOM.random((3, 4), np.float32)),
    "padded tokens": Tokens(RANDOM.random((3, 4, 2), np.float32)),
    "counted tokens": Tokens(RANDOM.random((3, 4, 2)).astype(np.float16), counts=[4, 0, 2]),
    "ragged tokens": Tokens([np.ones((2, 3)), None, np.zeros((4, 3))]),
    "regions": Regions(RANDOM.random((3, 4, 2), np.float32)),
    "counted regions": Regions(RANDOM.random((3, 4, 2), np.float32), counts=[4, 1, 2]),
    "paths": Pictures(["a.png", Path("b/c.png"), "a.png"]),
    "an array of pictures": Pictures(PIXELS),
    "pictures": Pictures([PIXELS[0], PIXELS[1][:2], PIXELS[2]]),
}
every_kind = pytest.mark.parametrize("feature", KINDS.values(), ids=KINDS)


def same(one: Feature, other: Feature) -> bool:
    return type(one) is type(other) and b"".join(one.pieces()) == b"".join(other.pieces())


def entries(feature: Feature) -> list[object]:
    return [None if one is None else np.asarray(one).tolist() if hasattr(one, "shape") else one for one in feature]


@pytest.mark.parametrize(
    ("feature", "shown"),
    [
        ("texts", "Texts(3 items)"),
        ("lists of texts", "TextLists(3 items)"),
        ("numbers", "Vectors(3 items, int64)"),
        ("vectors", "Vectors(3 items × 4, float32)"),
        ("padded tokens", "Tokens(3 items × 4 × 2)"),
        ("counted tokens", "Tokens(3 items × up to 4 × 2)"),
        ("ragged tokens", "Tokens(3 items × up to 4 × 3)"),
        ("counted regions", "Regions(3 images × up to 4 regions × 2)"),
        ("paths", "Pictures(3 items, paths)"),
        ("pictures", "Pictures(3 items, in memory)"),
    ],
)
def test_repr(feature: str, shown: str) -> None:
    assert repr(KINDS[feature]) == shown


@every_kind
def test_rows_are_taken(feature: Feature) -> None:
    assert len(feature) == 3
    taken = feature.take(np.array([2, 0, 2, 1]))
    assert entries(taken) == [entries(feature)[row] for row in (2, 0, 2, 1)]
    assert entries(taken.take(np.array([3]))) == [entries(feature)[1]]
    assert same(feature.take(np.arange(3)), feature)


@every_kind
def test_another_content_gives_other_pieces(feature: Feature) -> None:
    assert same(pickle.loads(pickle.dumps(feature)), feature)
    assert not same(feature.take(np.array([0, 0, 0])), feature)
    assert not any(same(feature, other) for other in KINDS.values() if other is not feature)


@every_kind
@pytest.mark.parametrize("name", ["folder", "p.npz", "p.safetensors", "p.pt"])
def test_written_and_read(feature: Feature, name: str, tmp_path: Path) -> None:
    if name.endswith(".pt"):
        pytest.importorskip("torch")
    features = {"one": feature, "two": Vectors([1, 2, 3])}
    problem = Problem(np.eye(3), query_features=features, gallery_features={"one": ["x", "y", "z"]})
    read = rerankit.read(rerankit.write(tmp_path / name, problem))
    assert read.query_features.keys() == {"one", "two"}
    assert same(read.query_features["one"], feature)
    assert list(read.gallery_features["one"]) == ["x", "y", "z"]


def test_arrays_cannot_be_written_into() -> None:
    given = np.ones((3, 2))
    feature = Vectors(given)
    with pytest.raises(ValueError, match="read-only"):
        feature.values[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(feature)[0] = 5
    assert given.flags.writeable
    with pytest.raises(AttributeError, match="'values' of a Texts cannot be set"):
        KINDS["texts"].values = ()


def test_tokens_of_a_memory_map_stay_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", RANDOM.random((5, 3, 2), np.float32))
    tokens = Tokens(np.load(tmp_path / "t.npy", mmap_mode="r"))
    assert isinstance(tokens.take(np.array([4, 1])).values, np.memmap)
    assert tokens.padded() is tokens.values


def test_a_picture_shared_by_items_has_one_key() -> None:
    paths, objects = KINDS["paths"], Pictures([PIXELS[0], PIXELS[1], PIXELS[0]])
    assert isinstance(paths, Pictures)
    keys = [[feature.key(row) for row in range(3)] for feature in (paths, objects, Pictures(PIXELS))]
    assert [len(set(found)) for found in keys] == [2, 3, 3]  # a row of an array is another object every time
    assert Pictures(PIXELS).take(np.array([1, 1])).key(0) == Pictures(PIXELS).key(1)


def test_files_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    pictures = Pictures([tmp_path / "a.png"])
    before = b"".join(pictures.pieces())
    (tmp_path / "a.png").write_bytes(b"one")
    between = b"".join(pictures.pieces())
    (tmp_path / "a.png").write_bytes(b"two")
    assert len({before, between, b"".join(pictures.pieces())}) == 3


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("text", ["a", "b"], Texts),
        ("text", np.array(["a", "b"]), Texts),
        ("text", np.array(["a", "b"], dtype=object), Texts),
        ("text", [["a"], ["b", "c"]], TextLists),
        ("text", np.array([["a", ""], ["b", "c"]]), TextLists),
        ("age", [1, 2], Vectors),
        ("age", np.array([1.5, 2]), Vectors),
        ("flag", [True, False], Vectors),
        ("vectors", [[1.0, 2.0], [3.0, 4.0]], Vectors),
        ("tokens", np.ones((2, 3, 4)), Tokens),
        ("tokens", [np.ones((1, 4)), np.ones((2, 4))], Tokens),
        ("tokens", [None, np.ones((2, 4))], Tokens),
        ("reference_images", ["a.png", "b.png"], Pictures),
        ("pictures", ["a.png", "b.png"], Pictures),
        ("anything", [Path("a.png"), Path("b.png")], Pictures),
        ("anything", [PIXELS[0], PIXELS[1]], Pictures),
        ("anything", PIXELS, Pictures),
    ],
)
def test_plain_values_become_the_kind_they_look_like(name: str, value: object, kind: type[Feature]) -> None:
    assert type(as_feature(name, value)) is kind


def test_empty_texts_at_the_end_of_a_row_of_an_array_are_none() -> None:
    assert list(as_feature("text", np.array([["a", ""], ["", "c"]]))) == [("a",), ("", "c")]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("text", "abc", r"'f' must have one entry per item \(got 'abc'\)"),
        ("text", 5, r"'f' must have one entry per item \(got int\)"),
        ("text", [None], r"'f' must have an entry for at least one item \(got 1 times None\)"),
        ("text", ["a", None], r"'f' must hold texts \(got None at row 1\)"),
        ("text", ["a", 3], r"'f' must hold texts \(got 3 at row 1\)"),
        ("text", [["a"], "b"], r"'f' must be a list of texts for each item \(got 'b' at row 1\)"),
        ("text", [["a", 1]], r"'f' must hold texts \(got 1 at row 0, place 1\)"),
        ("age", [1, "x"], r"'f' must hold numbers"),
        ("age", [float("nan")], r"'f' must be finite"),
        ("v", np.ones((2, 3, 4, 5, 6)), r"'f' must have the shape \(items,\) or \(items, d\)"),
        ("v", [np.ones((2, 3)), np.ones((2, 4))], r"'f' must have vectors of one width \(got widths \[3, 4\]\)"),
        ("v", {"a": 1}, r"'f' must be a list, an array or a rerankit.features.Feature \(got dict\)"),
        ("images", ["a.png", PIXELS[0]], r"'f' must hold paths for all items or pictures for all items \(got both\)"),
        (
            "images",
            ["a.png", 3],
            r"'f' must hold paths, PIL pictures or arrays \(height, width, 3\) \(got 3 at row 1\)",
        ),
    ],
)
def test_values_of_no_kind_are_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_feature(name, value, "f")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tokens(np.ones((2, 3, 4)), counts=[1, 5]), r"'tokens counts' must lie in 0…3 \(got 1…5\)"),
        (
            lambda: Tokens(np.ones((2, 3, 4)), counts=[1]),
            r"'tokens counts' must have one entry for each of the 2",
        ),
        (lambda: Tokens([np.ones((2, 3))], counts=[1]), "as a list has its own counts"),
        (lambda: Tokens([np.ones(3)]), "as a list must hold an array"),
        (lambda: Tokens([np.ones((2, 3))]).padded(), "no common array"),
        (
            lambda: feature_from("f", {"texts": np.array(["a"]), "counts": np.array([2])}, "f"),
            "must add up to the 1 te",
        ),
        (
            lambda: feature_from("f", {"tokens": np.ones((2, 1)), "counts": np.array([3])}, "f"),
            "add up to the 2 tokens",
        ),
        (
            lambda: feature_from("f", {"texts": np.array(["a"])}, "f"),
            r"'f' must have the parts of one kind: .*\(got texts\)",
        ),
    ],
)
def test_what_kinds_refuse(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_kind_of_ones_own() -> None:
    class Graphs(Feature):
        kind = "graphs"

        def __init__(self, graphs: list[object]) -> None:
            self._keep(graphs=graphs)

        def __len__(self) -> int:
            return len(self.graphs)

        def __getitem__(self, row: int) -> object:
            return self.graphs[row]

        def take(self, rows: np.ndarray) -> Graphs:
            return Graphs([self.graphs[row] for row in rows])

    problem = Problem(np.eye(2), query_features={"graph": Graphs(["a", "b"])})
    assert list(problem.subset(queries=[1]).query_features["graph"]) == ["b"]
    with pytest.raises(InputError, match="a feature of kind 'graphs' cannot be written"):
        feature_arrays("graph", problem.query_features["graph"])
    with pytest.raises(FormatError, match="a feature of kind 'graphs' cannot be written"):
        rerankit.write("never", problem)
