"""Sparse matrices are lists: what is not stored is absent, and so is a zero."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import rerankit
from rerankit import ListScores, Problem
from rerankit.errors import InputError

DENSE = np.float32([[0, 0.5, -0.25], [0, 0, 0], [2, 0, 1]])


def check(matrix):
    problem = Problem(matrix)
    assert isinstance(problem.scores, ListScores)
    np.testing.assert_array_equal(problem.scores.rows(), np.where(DENSE == 0, -np.inf, DENSE))
    assert problem.ranking(2).to_dict() == {0: {1: 0.5, 2: -0.25}, 1: {}, 2: {0: 2.0, 2: 1.0}}


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_scipy(form, kind):
    check(getattr(sparse, f"{form}_{kind}")(DENSE))


def test_a_stored_zero_is_absent_and_cells_that_come_twice_are_added():
    cells = [2, -0.25, 0.25, 0.25, 0, 1], ([2, 0, 0, 0, 1, 2], [0, 2, 1, 1, 1, 2])
    check(sparse.coo_array(cells, shape=(3, 3)))


@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_torch(layout):
    torch = pytest.importorskip("torch")
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        check(getattr(torch.tensor(DENSE, dtype=dtype, requires_grad=True), layout)())


def test_stages_and_evaluation_take_them():
    matrix = sparse.random_array((6, 9), density=0.5, rng=np.random.default_rng(0), dtype=np.float64)
    lists = Problem(matrix).ranking()
    assert rerankit.rerank(matrix, "mutual-rank", k=3) == rerankit.rerank(Problem(lists), "mutual-rank", k=3)
    judged = [[0], [1], [2], [3], [4], [5]]
    options = {"empty": "zero"}
    one, other = (rerankit.evaluate(each, judged, ["recall@3"], **options) for each in (matrix, lists))
    assert one.figures == other.figures


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (sparse.csr_array((2, 3)), "must have at least one cell other than zero"),
        (
            sparse.csr_array(np.array([[np.nan, 1]])),
            r"'scores' must be finite \(got 1 bad cell",
        ),
        (sparse.csr_array(np.array([[True]])), "must hold real numbers"),
        (sparse.coo_array(np.array([1.0, 2.0])), "must have two dimensions"),
    ],
)
def test_what_is_wrong_is_said(matrix, words):
    with pytest.raises(InputError, match=words):
        Problem(matrix)
