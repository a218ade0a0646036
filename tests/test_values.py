"""What is made once stays as it is."""

import pickle

import numpy as np
import pytest

from rerankit import Bank, Problem, Ranking, Relevance
from rerankit.ids import Ids
from rerankit.values import Named, same


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (Problem([[1.0]]), "scores"),
        (Problem([[1.0]]), "queries"),
        (Problem([[1.0]]).queries, "ids"),
        (Ranking([[0]], [[1.0]]), "indices"),
        (Relevance.from_lists([[0]], 1), "grades"),
        (Bank(to_gallery=[[1.0]]), "to_gallery"),
        (Ids([1]), "values"),
        (Named(a=1), "a"),
    ],
)
def test_attributes_cannot_be_set(value, attribute):
    with pytest.raises(AttributeError):
        setattr(value, attribute, None)
    with pytest.raises(AttributeError):
        delattr(value, attribute)


def test_the_error_says_what_to_do():
    with pytest.raises(AttributeError, match="'scores' of a Problem cannot be set: it is a value, make another one"):
        Problem([[1.0]]).scores = np.ones((1, 1))


def test_arrays_cannot_be_written_into():
    problem = Problem([[1.0, 2.0]], gallery_ids=[3, 4])
    for array in (problem.ranking().indices, problem.ranking().scores, problem.gallery_ids.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    copy = pickle.loads(pickle.dumps(problem.ranking().with_notes(a=1)))
    assert copy == problem.ranking()
    assert copy.notes["a"] == 1
    with pytest.raises(ValueError, match="read-only"):
        copy.scores[0] = 0


def test_named():
    named = Named({"a": 1}, b=2)
    assert repr(named) == "Named(a=1, b=2)"
    assert named == {"a": 1, "b": 2}
    assert (named | {"a": 3}) == {"a": 3, "b": 2}
    assert pickle.loads(pickle.dumps(named)) == named
    with pytest.raises(TypeError):
        named["a"] = 2


def test_what_has_parameters_and_no_equality_of_its_own_is_the_same_by_them():
    class Made:
        def __init__(self, size):
            self.size = size

        def get_params(self):
            return {"size": self.size}

    class Other(Made):
        pass

    assert same(Made(1), Made(1))
    assert same(Made([np.zeros(2)]), Made([np.zeros(2)]))
    assert same(Made, Made)
    assert same(Made(float("nan")), Made(float("nan")))
    assert not same(Made(float("nan")), Made(0.0))
    for one, other in [(Made(1), Made(2)), (Made(1), Other(1)), (Made, Other), (Made(1), 1)]:
        assert not same(one, other)
