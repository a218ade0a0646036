"""The families as pure functions, on places written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Relevance
from rerankit.errors import InputError
from rerankit.metrics import cmc, pmrp, success
from rerankit.metrics.lists import truth_of
from rerankit.metrics.sources import opened, places_of


def places(scores, relevant, **options):  # type: ignore[no-untyped-def]
    scores = np.asarray(scores, float)
    return places_of(opened(scores), truth_of(Relevance.from_lists(relevant, scores.shape[1], **options)))


def test_places_hold_groups_of_tied_items() -> None:
    found = places([[3, 2, 2, 2, 1]], [[1, 3, 4]])
    assert found.above.tolist() == [1, 4]
    assert found.size.tolist() == [3, 1]
    assert found.relevant.tolist() == [2, 1]
    assert found.earlier.tolist() == [0, 2]


def test_cmc_is_success_at_every_depth() -> None:
    found = places([[3, 2, 1], [1, 2, 3]], [[0], [1]])
    assert cmc(found, 3).tolist() == [0.5, 1.0, 1.0]
    assert [success(found, k).mean() for k in (1, 2, 3)] == [0.5, 1.0, 1.0]


def test_success_is_certain_when_more_places_than_irrelevant_items() -> None:
    assert success(places([[1, 1, 1, 1]], [[0, 1]]), 3).tolist() == [1.0]


def test_pmrp_averages_r_precision_over_readings() -> None:
    scores = [[4, 3, 2, 1]]
    readings = [places(scores, [[0]]), places(scores, [[0, 3]]), places(scores, [[0, 2, 3]])]
    assert pmrp(readings)[0] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert pmrp([places(scores, [[]]), readings[1]])[0] == 0.5
    assert np.isnan(pmrp([places(scores, [[]])])[0])
    with pytest.raises(InputError, match="'readings' must hold at least one"):
        pmrp([])


def test_a_query_with_many_relevant_items_is_counted_from_a_sorted_row() -> None:
    scores = [[5, 5, 4, 3, 3, 3, 2, 1, 1, 0, 0, 0]]
    many = places(scores, [list(range(1, 11))])
    few = [places(scores, [[item]]) for item in range(1, 11)]
    above = sorted({int(each.above[0]) for each in few})
    assert many.above.tolist() == above
