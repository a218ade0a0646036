"""Arrays in files of h5py and zarr: read block by block, and never another answer than in memory."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem, settings
from rerankit.errors import InputError
from rerankit.scores.stored import StoredScores

MATRIX = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float32)


@pytest.fixture(params=["h5py", "zarr", "h5py-chunks"])
def stored(request, tmp_path):
    """A function that puts a matrix into a file of a library and gives the array there."""
    library = pytest.importorskip(request.param.partition("-")[0])

    def put(matrix):
        chunks = (7, 9)[: matrix.ndim]
        if request.param == "zarr":
            array = library.create_array(tmp_path / "x.zarr", shape=matrix.shape, chunks=chunks, dtype=matrix.dtype)
            array[:] = matrix
            return array
        options = {"chunks": chunks, "compression": "gzip"} if "chunks" in request.param else {}
        return library.File(tmp_path / "x.h5", "w").create_dataset("scores", data=matrix, **options)

    return put


def test_a_small_one_is_read_at_once(stored):
    problem = Problem(stored(MATRIX))
    assert not isinstance(problem.scores, StoredScores)
    np.testing.assert_array_equal(problem.scores.rows(), MATRIX)


def test_a_large_one_gives_the_same_answers(stored):
    array = stored(MATRIX)
    with settings.using(memory_budget=4000):
        problem, memory = Problem(array), Problem(MATRIX)
        assert repr(problem.scores) == "StoredScores(40 × 60, float32)"
        rows, columns = np.array([[39, 2], [2, 17]]), np.array([0, 59])
        for mine, other in ((problem, memory), (problem.reversed(), memory.reversed())):
            np.testing.assert_array_equal(mine.scores.rows(), other.scores.rows())
            np.testing.assert_array_equal(mine.scores.rows(np.array([30, 3, 3, 1])), other.scores.rows([30, 3, 3, 1]))
            np.testing.assert_array_equal(mine.scores.rows(slice(5, 9)), other.scores.rows(slice(5, 9)))
            np.testing.assert_array_equal(mine.scores.pairs(rows, columns % 40), other.scores.pairs(rows, columns % 40))
            assert mine.ranking(5) == other.ranking(5)
            assert rerankit.rerank(mine, "csls", k=5) == rerankit.rerank(other, "csls", k=5)
        taken = problem.subset([7, 3], [50, 1, 2])
        np.testing.assert_array_equal(taken.scores.rows(), MATRIX[[7, 3]][:, [50, 1, 2]])
        judged = [[row] for row in range(40)]
        assert rerankit.evaluate(array, judged).figures == rerankit.evaluate(MATRIX, judged).figures


def test_only_blocks_are_read(stored):
    """No read takes more than the budget, in cells of four bytes, but for one row."""
    array = stored(MATRIX)
    sizes = []

    class Watched:
        shape, dtype = array.shape, array.dtype

        def __getitem__(self, key):
            read = array[key]
            sizes.append(read.nbytes)
            return read

    with settings.using(memory_budget=4000):
        StoredScores(Watched()).topk(3)
        StoredScores(Watched()).T.topk(3)
    assert len(sizes) >= 8
    assert max(sizes) <= 4000


def test_vectors_are_read(stored):
    array = stored(MATRIX)
    problem = Problem.from_embeddings(array, MATRIX)
    np.testing.assert_array_equal(problem.scores.rows(), Problem.from_embeddings(MATRIX, MATRIX).scores.rows())


def test_what_is_wrong_is_said(stored):
    with pytest.raises(InputError, match="'scores' must have two dimensions and not be empty"):
        Problem(stored(np.zeros(50)))


def test_what_is_not_finite_is_found_where_it_is_read(stored):
    bad = MATRIX.copy()
    bad[17, 5] = np.nan
    with settings.using(memory_budget=4000):
        problem = Problem(stored(bad))
        with pytest.raises(InputError, match="the first nan at row 17, column 5"):
            problem.ranking(3)


def test_a_closed_file_is_said(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        array = file.create_dataset("scores", data=MATRIX)
    with pytest.raises(InputError, match="an array of h5py must be open as long as it is read"):
        Problem(array)
