"""Laws of the formats: what is written comes back, and no damage to a file gets past its one-line error."""

from __future__ import annotations

import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rerankit import Problem, Ranking, Relevance
from rerankit.errors import RerankitError
from rerankit.formats import read, write

KINDS = [None, "problem", "ranking", "relevance"]
FLOATS = st.floats(-(2.0**49), 2.0**49, width=32).map(lambda score: score if abs(score) > 1e-30 else 0.0)
WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=5)
LISTS = ["a.run", "a.run.gz", "a.csv", "a.tsv", "a.json", "a.parquet", "a.txt"]
BUNDLES = ["folder", "a.npz", "a.safetensors", "a.pt"]


@st.composite
def rankings(draw: st.DrawFn) -> Ranking:
    """Rankings with padding and ids that are words."""
    queries, size, k = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    scores = draw(hnp.arrays(np.float32, (queries, size), elements=FLOATS))
    indices, values = Problem(scores).scores.topk(min(k, size))
    for row in range(queries):
        listed = draw(st.integers(1, indices.shape[1]))
        indices[row, listed:], values[row, listed:] = -1, -np.inf
    ids = [draw(st.lists(WORDS, min_size=count, max_size=count, unique=True)) for count in (queries, size)]
    return Ranking(indices, values, gallery_size=size, query_ids=ids[0], gallery_ids=ids[1])


@pytest.mark.parametrize("name", [*LISTS, *BUNDLES])
@given(ranking=rankings())
@settings(max_examples=25, deadline=None)
def test_a_ranking_comes_back(name: str, ranking: Ranking) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / name, ranking)
        back = read(path, "ranking", query_ids=ranking.query_ids, gallery_ids=ranking.gallery_ids)
    assert same(back, ranking)


def same(one: Ranking, other: Ranking) -> bool:
    """The same but for columns of nothing but padding, which lists do not hold; −0.0 and 0.0 tie."""
    width = int(other.mask.sum(axis=1).max())
    return one.to_dict() == other.to_dict() and np.array_equal(one.top(width).indices, other.top(width).indices)


@pytest.mark.parametrize("name", BUNDLES)
@given(grades=hnp.arrays(np.float32, st.tuples(*[st.integers(1, 5)] * 2), elements=st.floats(0, 9, width=32)))
@settings(max_examples=20, deadline=None)
def test_relevance_comes_back(name: str, grades: Any) -> None:
    relevance = Relevance.from_dense(grades)
    with tempfile.TemporaryDirectory() as folder:
        assert read(write(Path(folder) / name, relevance), "relevance") == relevance


@cache
def whole(name: str) -> bytes:
    """The bytes of a good file."""
    random = np.random.default_rng(0)
    ranking = Problem(random.normal(size=(3, 5)), query_ids=["a", "b", "c"]).ranking(4)
    values = {
        ".npy": random.normal(size=(3, 4)),
        ".qrels": Relevance.from_lists([[0], [1, 2]], 3),
        ".npz": Problem(np.eye(3), query_ids=["a", "b", "c"], gallery_scores=np.eye(3)),
        ".safetensors": Problem.from_embeddings(np.eye(3), np.eye(3), gallery_ids=["x", "y", "z"]),
        ".pt": Problem(np.eye(2), query_ids=["a", "b"]),
    }
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / name, values.get(Path(name).suffix, ranking)).read_bytes()


DAMAGE = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 0.999), st.just(0)),
    st.tuples(st.just("change"), st.floats(0, 0.999), st.integers(0, 255)),
    st.tuples(st.just("insert"), st.floats(0, 0.999), st.integers(0, 255)),
)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.pt", "a.qrels", *LISTS[:6]])
@given(damages=st.lists(DAMAGE, min_size=1, max_size=4), kind=st.sampled_from(KINDS))
@settings(max_examples=60, deadline=None)
def test_damage_gives_one_line_or_nothing(name: str, damages: list[tuple[str, float, int]], kind: Any) -> None:
    data = bytearray(whole(name))
    for what, where, value in damages:
        at = int(where * len(data))
        data = data[:at] if what == "cut" else data[:at] + bytes([value]) + data[at + (what == "change") :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        said = complaint(path, kind)
        assert said is None or said.startswith(f"{path}: ")
        assert said is None or "\n" not in said


def complaint(path: Path, kind: Any) -> str | None:
    """What is said about a file, or None when it can be read; any other error and any warning is a fault."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read(path, kind)
        except RerankitError as error:
            return str(error)
    return None
