from __future__ import annotations

import json

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import InputError
from rerankit.metrics import Hubness, hubness


def test_counts_are_those_of_a_loop() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    ranking = Problem(scores, gallery_ids=[f"i{n}" for n in range(30)]).ranking(20)
    found = hubness(ranking, depth=4)
    counts = [sum(item in row[:4] for row in ranking.indices.tolist()) for item in range(30)]
    assert found.counts == tuple((often, counts.count(often)) for often in sorted(set(counts)))
    assert found.never == counts.count(0)
    assert found.most == max(counts)
    assert found.hubs[0] == (f"i{int(np.argmax(counts))}", max(counts))
    deviation = np.array(counts) - np.mean(counts)
    assert found.skewness == pytest.approx((deviation**3).mean() / np.std(counts) ** 3)


def test_equal_counts_have_no_skewness_and_padding_counts_for_nothing() -> None:
    assert hubness(Problem(np.eye(5)).ranking(1), depth=10).skewness == 0
    lists = Problem.from_rankings([[1, -1], [0, 1]], [[1.0, -np.inf], [1.0, 0.5]], gallery_size=3)
    assert hubness(lists.ranking(2)).counts == ((0, 1), (1, 1), (2, 1))


def test_it_survives_json() -> None:
    found = hubness(Problem(np.eye(5)).ranking(2))
    assert Hubness.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_depth() -> None:
    with pytest.raises(InputError, match="'depth' must be at least 1"):
        hubness(Problem(np.eye(5)).ranking(2), depth=0)
