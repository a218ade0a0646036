from __future__ import annotations

import pickle

import numpy as np
import pytest

from rerankit import Pipeline, Problem, Stage, rerank, stage, stages_available
from rerankit.errors import InputError, NotFittedError, RerankitWarning, StageError, UnknownNameError
from rerankit.pipelines.top import Top
from strategies import distinct


class Weighted(Stage):
    """A stage with a weight, as a trainable one has."""

    name = "weighted"

    def __init__(self, sign: int = 1) -> None:
        self.sign = sign
        self._weight: np.ndarray | None = None

    @property
    def needs(self):
        return ("weights",)

    def get_weights(self):
        return {} if self._weight is None else {"weight": self._weight}

    def set_weights(self, weights):
        self._weight = weights["weight"]

    def rescore(self, problem, ranking):
        return self.sign * self._weight * ranking.scores


class Loose(Stage):
    def __init__(self, **anything):
        pass


def fitted(sign: int = 1) -> Weighted:
    made = Weighted(sign)
    made.set_weights({"weight": np.float32([-1])})
    return made


def test_repr_is_code():
    made = stage("fuse", sources=["scores", stage("mutual-rank", weight=0.5)], method="rrf")
    assert repr(made) == "stage('fuse', sources=['scores', stage('mutual-rank', weight=0.5)], method='rrf')"
    assert eval(repr(made), {"stage": stage}) == made
    assert repr(stage("mutual-rank").top(5)) == "stage('mutual-rank').top(5)"


def test_parameters_clone_equality_and_hash():
    made = stage("mutual-rank", weight=2.0)
    assert made.get_params() == {"weight": 2.0, "published": False, "bank": None, "lone": "raise"}
    assert made.clone() == made
    assert hash(made.clone()) == hash(made)
    assert made.clone(weight=3.0) != made
    assert made != stage("fuse")
    with pytest.raises(InputError, match=r"has no parameter wait \(it has weight, published, bank, lone\)"):
        made.clone(wait=1)


def test_a_bank_given_as_an_array_takes_part_in_equality():
    bank = distinct(3, 4)
    assert stage("mutual-rank", bank=bank) == stage("mutual-rank", bank=bank.copy())
    assert stage("mutual-rank", bank=bank) != stage("mutual-rank", bank=bank + 1)


def test_weights_are_cloned_compared_and_needed():
    assert fitted() == fitted()
    assert fitted() != Weighted()
    assert fitted().clone(sign=-1).get_weights() == {"weight": np.float32([-1])}
    assert [str(fault) for fault in Weighted().unmet(Problem([[1]]))] == [
        "stage 'weighted' needs weights: call its fit(…), or load a fitted one with rerankit.load(folder)"
    ]
    assert fitted().unmet(Problem([[1]])) == []
    with pytest.raises(NotFittedError):
        stage("mutual-rank").set_weights({})


def test_stages_pickle():
    made = stage("mutual-rank", weight=2.0).top(3)
    assert pickle.loads(pickle.dumps(made)) == made


def test_top_reorders_only_the_head():
    problem = Problem([[5, 4, 3, 2, 1]])
    result = fitted().top(2).rerank(problem, problem.ranking())
    assert result.indices.tolist() == [[1, 0, 2, 3, 4]]
    assert (np.diff(result.scores) <= 0).all()
    with pytest.raises(InputError, match="'k' must be at least 1"):
        fitted().top(0)
    with pytest.raises(InputError, match="'candidates' must be at least 1"):
        Top(fitted(), 0)
    with pytest.raises(InputError, match="'stage' must be a stage"):
        Top("mutual-rank", 3)


def test_names_and_parameters_are_checked():
    assert {"fuse", "mutual-rank", "top"} <= set(stages_available())
    with pytest.raises(UnknownNameError, match="unknown stage 'mutual-rnak'; did you mean 'mutual-rank'"):
        stage("mutual-rnak")
    with pytest.raises(InputError, match=r"stage 'mutual-rank': got an unexpected keyword argument 'wait' \(its param"):
        stage("mutual-rank", wait=1)
    with pytest.raises(InputError, match="must name its parameters"):
        Loose().get_params()


def test_new_scores_of_another_shape_are_refused():
    class Short(Stage):
        name = "short"

        def rescore(self, problem, ranking):
            return np.zeros(3)

    problem = Problem([[1, 2]])
    with pytest.raises(StageError, match=r"stage 'short' must return numbers of shape \(1, 2\) \(got float64 of shape"):
        Short().rerank(problem, problem.ranking())


class Answers(Stage):
    """Give these scores."""

    name = "answers"

    def __init__(self, scores):
        self.scores = scores

    def rescore(self, problem, ranking):
        return self.scores


def test_whole_numbers_that_single_precision_does_not_tell_apart_are_said():
    days = np.array([[20250103, 20250104, 20250105]])
    with pytest.warns(RerankitWarning, match=r"'scores of stage answers' has whole numbers beyond 2\*\*24"):
        rerank([[3, 2, 1]], Answers(days))
    assert rerank([[3, 2, 1]], Answers(days - days.max())).indices.tolist() == [[2, 1, 0]]
    padded = Problem.from_rankings([[1, -1]], [[0.5, 0.0]], 2)
    assert rerank(padded, Answers(np.array([[4, 2**60 + 1]]))).scores[0, 0] == 4


def test_masked_scores_are_none():
    with pytest.raises(StageError, match=r"'scores' must be finite \(got 1 bad cell, the first nan at row 0, column 1"):
        rerank([[3, 2]], Answers(np.ma.masked_array([[1, 2]], [[False, True]])))
    padded = Problem.from_rankings([[1, -1]], [[0.5, 0.0]], 2)
    assert rerank(padded, Answers(np.ma.masked_array([[4, 2]], [[False, True]]))).scores[0, 0] == 4


def test_joining_makes_pipelines():
    one, two = stage("mutual-rank"), stage("fuse")
    assert one >> two == Pipeline([one, two])
    assert one >> (two >> one) == Pipeline([one, two, one])
    assert len(Pipeline([]) >> "fuse") == 1


def test_needs_that_are_a_method_are_refused():
    with pytest.raises(InputError, match="'needs' of stage class Method must be a property, or a tuple of texts"):
        type("Method", (Stage,), {"name": "method", "needs": lambda self: ()})
    assert type("Tuple", (Stage,), {"name": "tuple", "needs": ("query_scores",)}).needs == ("query_scores",)
