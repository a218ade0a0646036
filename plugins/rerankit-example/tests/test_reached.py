from __future__ import annotations

from rerankit import Ranking, Relevance
from rerankit.metrics import evaluate, register_metric
from rerankit_example.reached import reached


def test_reached_counts_lists_with_a_relevant_item():
    register_metric("reached_by_hand", reached)
    ranking = Ranking([[0, 1], [2, 0]], [[2, 1], [2, 1]], gallery_size=4)
    relevance = Relevance.from_lists([[1], [3]], 4)
    assert evaluate(ranking, relevance, ["reached_by_hand"]).per_query["reached_by_hand"].tolist() == [1, 0]
