"""Ids: checked once, passed on by identity."""

import pickle

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Ranking
from rerankit.errors import InputError
from rerankit.ids import Ids, as_ids, same_ids


def test_repr_and_values():
    ids = Ids(["b", "a", "c", "d"])
    assert repr(ids) == "Ids(4, 'b', 'a', 'c', …)"
    assert repr(Ids([7])) == "Ids(1, 7)"
    assert (len(ids), list(ids), ids[1], ids.tolist()) == (4, ["b", "a", "c", "d"], "a", ["b", "a", "c", "d"])
    assert np.asarray(ids).tolist() == ["b", "a", "c", "d"]
    assert Ids(np.array([3, 1], np.uint8)).values.dtype == np.int64
    assert Ids([b"caf\xc3\xa9", b"x"]).tolist() == ["café", "x"]
    with pytest.raises(ValueError, match="read-only"):
        ids.values[0] = "z"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", "b", "a", "b"], r"'names' must be unique \(got 2 repeated ids, such as \['a', 'b'\]\)"),
        ([3, 1, 3], r"'names' must be unique \(got 1 repeated ids, such as \[3\]\)"),
        ([1.5], r"'names' must be a list of texts or integers \(got float64, shape \(1,\)\)"),
        ([["a"]], r"'names' must be a list of texts or integers \(got <U1, shape \(1, 1\)\)"),
        (["1", 1], r"'names' must be all texts or all whole numbers, since '1' and 1 are one name \(got both\)"),
        (["1", 1, 1], r"'names' must be unique \(got 1 repeated ids, such as \['1'\]\)"),
        (["b", "a", "b"], r"'names' must be unique \(got 1 repeated ids, such as \['b'\]\)"),
        (["a", None], r"'names' must be a list of texts or integers \(got None\)"),
        ([2**63], r"'names' must fit 64-bit integers"),
        ([7, 2**63], r"'names' must fit 64-bit integers \(got 9223372036854775808\)"),
        ([7, -(2**70)], r"'names' must fit 64-bit integers \(got -1180591620717411303424\)"),
        (["a\0", "a"], r"'names' must not end in the character 0"),
        (np.array([True, False], object), r"'names' must be a list of texts or integers \(got True\)"),
        ([b"\xff"], r"'names' must be texts in UTF-8"),
    ],
)
def test_what_ids_must_be(given, message):
    with pytest.raises(InputError, match=message):
        Ids(given, "names")


def test_ids_are_counted_where_they_are_expected():
    ids = Ids([5, 6])
    assert as_ids(ids, 2, "query_ids") is ids
    assert as_ids(None, 2, "query_ids") is None
    with pytest.raises(InputError, match=r"'query_ids' must have one id for each of the 3 rows \(got 2 ids\)"):
        as_ids(ids, 3, "query_ids")


def test_equality_lookup_and_pickle():
    ids = Ids(["b", "a"])
    assert ids == Ids(["b", "a"]) != Ids(["a", "b"])
    assert hash(ids) == hash(Ids(np.array(["b", "a"])))
    assert same_ids(None, None)
    assert not same_ids(ids, None)
    assert ids.rows_of(["a", "b", "a"]).tolist() == [1, 0, 1]
    with pytest.raises(InputError, match=r"'names' must name only known ids \(got 1 of 2 unknown, such as \['c'\]\)"):
        ids.rows_of(["a", "c"])
    copy = pickle.loads(pickle.dumps(ids))
    assert copy == ids
    assert not copy.values.flags.writeable


def test_some_of_them():
    ids = Ids([4, 5, 6])
    assert ids.take(None) is ids
    assert ids.take(np.array([2, 0])).tolist() == [6, 4]
    assert ids.take(slice(1, None)).tolist() == [5, 6]
    with pytest.raises(InputError, match=r"'ids' must be unique \(got 1 repeated ids, such as \[6\]\)"):
        ids.take(np.array([2, 2, 0]))


def test_one_run_passes_ids_on_by_identity(monkeypatch):
    problem = Problem([[0.1, 0.9], [0.8, 0.3]], query_ids=["cat", "dog"], gallery_ids=["x", "y"])

    def refuse(*_):
        raise AssertionError("ids are looked through again")

    monkeypatch.setattr("rerankit.ids._checked", refuse)
    monkeypatch.setattr(Ids, "__array__", refuse)
    monkeypatch.setattr(Ids, "tolist", refuse)
    pipeline = rerankit.stage("mutual-rank") >> rerankit.stage("csls", neighbours=1).top(1)
    result = rerankit.rerank(problem, pipeline, k=2)
    assert result.query_ids is problem.query_ids
    assert result.gallery_ids is problem.gallery_ids is problem.reversed().query_ids
    assert result.top(1).gallery_ids is problem.gallery_ids
    assert Ranking([[0]], [[1]], gallery_size=2, gallery_ids=problem.gallery_ids).gallery_ids is problem.gallery_ids
