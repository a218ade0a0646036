from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from rerankit import Relevance
from rerankit.errors import InputError

GRADES = hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.sampled_from([0, 1, 2]))


def test_repr():
    assert repr(Relevance.from_lists([[0], [2, 1]], 3)) == "Relevance(2 queries × 3 items, 3 relevant, 0 excluded)"


@given(GRADES)
def test_every_way_in_says_the_same(grades):
    dense = Relevance.from_dense(grades)
    lists = [np.flatnonzero(row).tolist() for row in grades]
    assert np.array_equal(dense.to_dense(), grades)
    assert Relevance.from_sparse(sparse.csr_matrix(grades)) == dense
    assert (
        Relevance.from_lists(
            lists, grades.shape[1], grades=[grades[q][items].tolist() for q, items in enumerate(lists)]
        )
        == dense
    )
    qrels = {q: {i: float(grades[q, i]) for i in range(grades.shape[1])} for q in range(len(grades))}
    assert Relevance.from_dict(qrels, range(len(grades)), range(grades.shape[1])) == dense
    assert hash(Relevance.from_sparse(sparse.csr_matrix(grades))) == hash(dense)


@given(GRADES)
def test_reversed_is_the_transpose(grades):
    relevance = Relevance.from_dense(grades)
    assert np.array_equal(relevance.reversed().to_dense(), grades.T)
    assert relevance.reversed().reversed() == relevance


@given(GRADES, st.data())
def test_subset_is_fancy_indexing(grades, data):
    queries = data.draw(st.permutations(range(grades.shape[0])))[: max(1, len(grades) - 1)]
    items = data.draw(st.permutations(range(grades.shape[1])))
    queries, items = [*queries, queries[0]], [*items, *items[:2]]  # some of them twice
    chosen = Relevance.from_dense(grades).subset(queries, items)
    assert np.array_equal(chosen.to_dense(), grades[np.ix_(queries, items)])


def test_labels():
    relevance = Relevance.from_labels(["cat", "dog", "cow"], ["dog", "cat", "cat"])
    assert [relevance.of(query).items.tolist() for query in range(3)] == [[1, 2], [0], []]


def test_labels_are_compared_as_they_are():
    large = np.array([2**60 + 1], np.uint64), np.array([2**60, 2**60 + 1])  # one number as floats
    assert Relevance.from_labels(*large).of(0).items.tolist() == [1]
    assert Relevance.from_labels(np.array([1, "a"], object), np.array(["a", 1], object)).indices.tolist() == [1, 0]


def test_booleans_are_relevance():
    assert Relevance.from_dense([[True, False]]).of(0).items.tolist() == [0]


def test_excluded_items_travel():
    relevance = Relevance.from_lists([[0], [1]], 3, exclude=[[2], []])
    assert relevance.of(0).excluded.tolist() == [2]
    assert relevance.reversed().of(2).excluded.tolist() == [0]
    assert relevance.subset(queries=[1, 0], gallery=[2, 0]).of(1).excluded.tolist() == [0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Relevance.from_lists([[3]], 3), r"'items' must lie in 0…2 \(got 3…3\)"),
        (
            lambda: Relevance.from_lists([[1, 1]], 3),
            r"name an item once .*\(got 1 repeated \(query, item\), such as \[\(0, 1\)\]\)",
        ),
        (lambda: Relevance.from_lists([[0.5]], 3), r"'items' must list gallery row numbers"),
        (lambda: Relevance.from_lists([[0]], 3, exclude=[[0]]), r"'exclude' must not hold relevant items \(got 1"),
        (lambda: Relevance.from_lists([[0]], 3, exclude=[[0], [1]]), r"'exclude' must have one list for each"),
        (lambda: Relevance.from_lists([[0]], 3, grades=[[-1]]), r"'grades' must be finite and not negative"),
        (lambda: Relevance.from_dense([[np.nan]]), r"'grades' must be finite"),
        (lambda: Relevance.from_dict({"z": {"a": 1}}, ["q"], ["a"]), r"only known queries \(got 1 unknown"),
        (lambda: Relevance.from_dict({"q": {"z": 1}}, ["q"], ["a"]), r"only known gallery items \(got 1 unknown"),
        (lambda: Relevance.from_labels([[1]], [1]), r"'query_labels' must be a list of labels"),
        (
            lambda: Relevance.from_labels([1.0, np.nan], [np.nan]),
            r"'query_labels' must have a label for each.*nan at 1",
        ),
        (lambda: Relevance.from_labels(["a"], ["a", None]), r"'gallery_labels' must have a label for each.*None at 1"),
        (lambda: Relevance.from_labels([1], ["1"]), r"'gallery_labels' must be of the kind of 'query_labels'"),
        (lambda: Relevance.from_dict({"q": {"a": 1}}, ["q", "q"], ["a"]), r"'query_ids' must be unique"),
        (lambda: Relevance.from_dict({"q": {"a": 1}}, ["q"], ["b", "a", "b"]), r"'gallery_ids' must be unique"),
        (lambda: Relevance([0], [0], (1, 1.5)), r"'shape' must be a whole number \(got 1.5\)"),
        (lambda: Relevance([], [], (0, 1)), r"'shape' must be at least 1"),
        (lambda: Relevance([0], [0], (1, 1), ["x"]), r"'grades' must be a list of numbers \(got dtype <U1"),
        (lambda: Relevance([0], [0], (1, 1), [[1.0]]), r"'grades' must be a list of numbers .*shape \(1, 1\)"),
    ],
)
def test_bad_relevance(make, message):
    with pytest.raises(InputError, match=message):
        make()
