from __future__ import annotations

import numpy as np
import pytest

from rerankit import ListScores, Problem, errors, rerank
from rerankit.testing import STAGE_CHECKS
from rerankit_example.neighbour_average import NeighbourAverage


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check):
    check(lambda: NeighbourAverage(neighbours=3))


def test_repr():
    assert repr(NeighbourAverage()) == "stage('neighbour-average')"
    assert repr(NeighbourAverage(weight=0.25)) == "stage('neighbour-average', weight=0.25)"


def test_the_scores_are_means_over_neighbours():
    problem = Problem([[0.9, 0.1, 0.8]], gallery_scores=[[1, 0.9, 0], [0.9, 1, 0], [0, 0.5, 1]])
    ranking = rerank(problem, NeighbourAverage(neighbours=2, weight=0.5))
    expected = {0: (0.9 + 0.5) / 2, 1: (0.1 + 0.5) / 2, 2: (0.8 + 0.45) / 2}
    assert ranking.to_dict()[0] == pytest.approx(expected)


def test_lists_of_the_gallery_may_be_short():
    lists = ListScores([[0, 1], [1, -1], [2, -1]], [[1, 0.9], [1, 0], [1, 0]], 3)
    ranking = rerank(Problem([[0.9, 0.1, 0.8]], gallery_scores=lists), NeighbourAverage(neighbours=2, weight=1))
    assert ranking.to_dict()[0] == pytest.approx({0: 0.5, 1: 0.1, 2: 0.8})


def test_weight_zero_changes_nothing():
    problem = Problem(np.eye(4), gallery_scores=np.ones((4, 4)))
    assert rerank(problem, NeighbourAverage(weight=0)) == problem.ranking()


def test_bad_parameters_are_refused():
    with pytest.raises(errors.InputError, match="'weight' must be at most 1"):
        NeighbourAverage(weight=2)
    with pytest.raises(errors.InputError, match="'neighbours' must be at least 1"):
        NeighbourAverage(neighbours=0)


def test_missing_gallery_scores_are_explained():
    with pytest.raises(errors.UnmetNeedError, match="'neighbour-average' needs gallery_scores"):
        rerank([[0.1, 0.2]], NeighbourAverage())
