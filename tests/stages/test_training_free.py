"""What all stages without training have in common: both directions, lists in place of matrices, what they say."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import rerankit
from rerankit import ListScores, Problem, Ranking, Stage, stage
from strategies import people

STAGES = [
    stage("alpha-qe", neighbours=3),
    stage("consensus", neighbours=4),
    stage("csls", neighbours=3),
    stage("dba", neighbours=3),
    stage("diffusion", neighbours=8, query_neighbours=3),
    stage("diffusion", neighbours=8, query_neighbours=3, truncation=20),
    stage("dual-is"),
    stage("dual-softmax"),
    stage("fuse", sources=["scores", stage("csls")]),
    stage("gnn", k1=6, k2=3),
    stage("inverted-softmax"),
    stage("k-reciprocal", k1=6, k2=3),
    stage("mutual-neighbours", neighbours=8),
    stage("mutual-neighbours", neighbours=8, nearest_queries=2),
    stage("mutual-rank"),
    stage("nnn", neighbours=4),
    stage("qb-norm"),
    stage("sinkhorn"),
    stage("sinkhorn", cells_kept=None),
]


def relations(one: np.ndarray, other: np.ndarray) -> Problem:
    return Problem(one @ other.T, query_scores=one @ one.T, gallery_scores=other @ other.T)


def listed(problem: Problem, share: float = 1.0) -> Problem:
    """Every relation as lists, of all cells or of the best of each row."""
    parts = [
        ListScores(*scores.topk(max(2, int(share * scores.shape[1]))), scores.shape[1])
        for scores in (problem.scores, problem.query_scores, problem.gallery_scores)
        if scores is not None
    ]
    return Problem(parts[0], query_scores=parts[1], gallery_scores=parts[2])


@pytest.mark.parametrize("form", [relations, Problem.from_embeddings], ids=["matrices", "embeddings"])
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_the_other_direction_is_the_problem_turned_around(one: Stage, form):
    queries, gallery = people()
    turned = rerankit.rerank(form(queries, gallery).reversed(), one.reversed(), k=10)
    expected = rerankit.rerank(form(gallery, queries), one, k=10)
    assert turned.shape == (60, 10)
    np.testing.assert_allclose(turned.to_dense(0), expected.to_dense(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_lists_of_all_cells_are_the_matrix(one: Stage):
    problem = relations(*people())
    found, expected = (rerankit.rerank(given, one, k=10) for given in (listed(problem), problem))
    # Less a query's highest: a balance in lists and one in a matrix differ by a constant.
    less = [(one.to_dense(np.nan) - one.scores[:, :1]) for one in (found, expected)]
    np.testing.assert_allclose(*less, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*joins no query to its candidates")
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_short_lists_are_enough_to_run(one: Stage):
    found = rerankit.rerank(listed(relations(*people()), 0.3), one, k=10)
    assert np.isfinite(found.scores[found.mask]).all()
    np.testing.assert_array_equal(found.mask.sum(axis=1), 10)


@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_lists_in_which_nothing_was_found(one: Stage):
    lists = ListScores(np.full((2, 1), -1), np.full((2, 1), -np.inf), 3)
    problem = Problem(lists, query_scores=np.eye(2), gallery_scores=np.eye(3))
    assert not rerankit.rerank(problem, one, k=2).mask.any()


@pytest.mark.parametrize("name", sorted({one.name for one in STAGES} | {"learned-fusion", "calibrate"}))
def test_it_is_cited_and_says_when_it_loses(name: str):
    made = stage(name)
    said = " ".join((inspect.getdoc(type(made)) or "").split())
    assert re.search(r"\b(19|20)\d\d\b", made.citation) or made.citation.startswith("rerankit")
    assert any(word in said for word in (" lose", " lost"))


@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_places_behind_the_end_of_a_list_change_nothing(one):
    """Lists of uneven length give the same answer in a wide ranking as in a narrow one."""
    random = np.random.default_rng(0)
    problem = Problem.from_embeddings(random.normal(size=(9, 8)), random.normal(size=(40, 8)))
    first = problem.ranking(12)
    narrow = first.keep(np.arange(12) < [[12], *([n] for n in random.integers(2, 12, size=8))])
    edges = ((0, 0), (0, 14))
    indices = np.pad(narrow.indices, edges, constant_values=-1)
    wide = Ranking(indices, np.pad(narrow.scores, edges, constant_values=-np.inf), gallery_size=40)
    assert one.rerank(problem, wide).top(12) == one.rerank(problem, narrow)
