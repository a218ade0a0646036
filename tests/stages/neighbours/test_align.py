"""`align=True` measures all scores, or vectors chosen by what they are: the order of items is no matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem, settings
from rerankit.stages.neighbours.joint import Joint

QUERIES, GALLERY = 310, 420  # more than the rows that a sample has


def problem(form: str, queries: Any, gallery: Any) -> Problem:
    if form == "embeddings":
        return Problem.from_embeddings(queries, gallery)
    same = {"query_scores": queries @ queries.T, "gallery_scores": gallery @ gallery.T}
    return Problem(0.2 * queries @ gallery.T + 1, **same)


@pytest.mark.parametrize("form", ["matrices", "embeddings"])
@pytest.mark.parametrize("name", ["k-reciprocal", "gnn"])
def test_the_order_of_items_is_no_matter(name: str, form: str) -> None:
    random = np.random.default_rng(3)
    # The first items are others than the rest: a sample of them would say something else.
    spread = np.linspace(0.2, 3, QUERIES)[:, None], np.linspace(0.2, 3, GALLERY)[:, None]
    queries, gallery = (part * random.normal(size=(len(part), 6)) for part in spread)
    rows, columns = random.permutation(QUERIES), random.permutation(GALLERY)
    stage = rerankit.stage(name, align=True)
    usual = rerankit.rerank(problem(form, queries, gallery), stage, k=10).to_dense()[np.ix_(rows, columns)]
    moved = rerankit.rerank(problem(form, queries[rows], gallery[columns]), stage, k=10).to_dense()
    np.testing.assert_array_equal(np.isneginf(usual), np.isneginf(moved))
    np.testing.assert_allclose(usual, moved, atol=2e-6)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("budget", [100_000, 3_000_000, 1_000_000_000])
def test_neighbours_from_one_pass_are_those_of_whole_rows(metric, align, budget):
    random = np.random.default_rng(2)
    centres = random.normal(size=(90, 8))
    queries, gallery = (centres[random.integers(0, 90, n)] + random.normal(size=(n, 8)) for n in (700, 800))
    gallery[500:520], queries[300:310] = gallery[:20], queries[:10]
    gallery[600:640] = gallery[600]  # more that tie than there are neighbours
    joint = Joint(Problem.from_embeddings(queries, gallery, metric), align)
    with settings.using(memory_budget=budget):
        found, whole = joint.neighbours(7), joint.neighbours(7, level=True)
    assert joint._from_one_pass(7) is not None
    assert found.level is None
    assert whole.level is not None
    for name in ("indices", "scores", "lowest", "highest"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))
