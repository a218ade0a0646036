"""Queries outside a graph: their neighbours by a search are those of whole rows."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Bank, Gallery, Problem
from rerankit.stages.neighbours import outside
from rerankit.stages.neighbours.both_sides import Map
from rerankit.stages.neighbours.outside import Outside

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, OLD, MANY = (RANDOM.normal(size=(count, 12)) for count in (1200, 3, 90, 900))
ONTO = Map(np.float32(1.7), np.float32(-0.2), np.float32(0.4))  # makes the highest scores of the bank equal


@pytest.mark.parametrize("old", [OLD, MANY], ids=["a small bank", "a bank that is searched"])
@pytest.mark.parametrize("onto", [None, ONTO], ids=["as they are", "mapped"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_a_search_finds_the_neighbours_of_whole_rows(old, onto, metric, monkeypatch):
    gallery = Gallery(ITEMS, metric=metric, bank=old)
    problem = gallery.problem(QUERIES)
    beside = Outside(problem, problem.query_bank, onto)
    found = beside.neighbours(20, 1.0)
    monkeypatch.setattr(outside, "_searched", lambda *_: None)
    whole = beside.neighbours(20, 1.0)
    for name in ("indices", "scores", "lowest", "highest"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


def test_rows_of_the_gallery_are_read_only_where_a_map_leaves_a_doubt(monkeypatch):
    problem = Gallery(ITEMS, bank=OLD).problem(QUERIES[0])
    read = []
    rows = type(problem.scores).rows
    monkeypatch.setattr(
        type(problem.scores), "rows", lambda self, *given: read.append(self.shape) or rows(self, *given)
    )
    Outside(problem, problem.query_bank, None).neighbours(20, 1.0)
    assert read == [(1, 90)]


def test_matrices_are_read_in_whole():
    problem = Problem(
        QUERIES @ ITEMS.T,
        gallery_scores=ITEMS @ ITEMS.T,
        query_bank=Bank(to_gallery=OLD @ ITEMS.T, to_queries=OLD @ QUERIES.T, to_bank=OLD @ OLD.T),
    )
    found = Outside(problem, problem.query_bank, None).neighbours(5, 1.0)
    both = np.float32(np.concatenate([QUERIES @ OLD.T, QUERIES @ ITEMS.T], axis=1))
    np.testing.assert_array_equal(found.indices, np.argsort(-both, axis=1, kind="stable")[:, :5])
