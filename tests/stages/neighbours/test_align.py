"""`align=True` measures all scores, or vectors chosen by what they are: the order of items is no matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Problem

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
