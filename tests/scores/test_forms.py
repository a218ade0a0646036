"""The three forms of scores answer alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import rerankit
from rerankit.errors import InputError, UnknownNameError
from rerankit.measure import measure
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, as_scores, blocks
from strategies import matrices, naive_topk

DENSE = np.float32([[1, 5, 3], [2, 2, 0]])


def test_repr():
    assert repr(DenseScores(DENSE)) == "DenseScores(2 × 3, float32)"
    assert repr(EmbeddingScores(DENSE, DENSE)) == "EmbeddingScores(2 × 2, cosine, width 3)"
    assert repr(ListScores([[1, 0], [2, -1]], [[1, 0], [2, 0]], 4)) == "ListScores(2 × 4, 3 cells)"


@given(matrices())
def test_dense(scores):
    made = DenseScores(scores)
    assert np.array_equal(made.rows(), scores)
    assert np.array_equal(made.T.rows(), scores.T)
    assert np.array_equal(made.topk(3)[0], naive_topk(scores, 3)[0])
    assert np.array_equal(made.T.topk(3)[0], naive_topk(scores.T, 3)[0])
    assert np.array_equal(made.pairs(np.array([[0]]), np.arange(scores.shape[1])[None]), scores[:1])
    assert np.array_equal(made.take(np.array([0]), np.array([0])).rows(), scores[:1, :1])


@pytest.mark.parametrize("form", [np.ascontiguousarray, np.asfortranarray])
def test_dense_pairs_are_those_of_numpy_and_stay_within_their_row(form):
    values = form(np.arange(12, dtype=np.float32).reshape(3, 4))
    made, rows = DenseScores(values), np.array([[0], [1]])
    assert np.array_equal(made.pairs(rows, np.array([[3, 0], [1, 1]])), [[3, 0], [5, 5]])
    assert np.array_equal(made.pairs(rows, np.array([[-1, 0], [1, 1]])), [[3, 0], [5, 5]])
    with pytest.raises(IndexError):
        made.pairs(rows, np.array([[4, 0], [1, 1]]))


@given(matrices(rows=5, columns=6))
def test_lists_equal_the_dense_matrix_with_absent_cells(scores):
    dense = np.where(scores > 0, scores, np.float32(-np.inf))
    indices, values = naive_topk(dense, dense.shape[1])
    made = ListScores(indices, values, dense.shape[1])
    assert np.array_equal(made.rows(), dense)
    assert np.array_equal(made.T.rows(), dense.T)
    assert np.array_equal(made.rows(slice(1, 3)), dense[1:3])
    rows, columns = np.meshgrid(np.arange(dense.shape[0]), np.arange(dense.shape[1]), indexing="ij")
    assert np.array_equal(made.pairs(rows, columns), dense)
    for k in (1, 3, 9):
        for got, expected in zip(made.topk(k), naive_topk(dense, k), strict=True):
            assert np.array_equal(got, expected)
    backwards = np.arange(dense.shape[1])[::-1]
    assert np.array_equal(made.take(np.array([0]), backwards).rows(), dense[:1, ::-1])
    rows, twice = np.array([2 % len(dense), 0, 0]), np.array([1, 0, 1]) % dense.shape[1]
    assert np.array_equal(made.take(rows, twice).rows(), dense[np.ix_(rows, twice)])


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_embeddings_equal_a_float64_computation(metric):
    generator = np.random.default_rng(0)
    queries, gallery = generator.normal(size=(70, 8)), generator.normal(size=(33, 8))
    if metric == "cosine":
        expected = (queries / np.linalg.norm(queries, axis=1)[:, None]) @ (
            gallery / np.linalg.norm(gallery, axis=1)[:, None]
        ).T
    elif metric == "dot":
        expected = queries @ gallery.T
    else:
        expected = -np.linalg.norm(queries[:, None] - gallery[None], axis=2)
    made = EmbeddingScores(queries, gallery, metric)
    np.testing.assert_allclose(made.rows(), expected, atol=1e-5)
    np.testing.assert_allclose(made.T.rows(), expected.T, atol=1e-5)
    np.testing.assert_allclose(made.pairs(np.arange(70)[:, None], np.arange(33)), expected, atol=1e-5)
    assert np.array_equal(made.topk(5)[0], np.argsort(-expected, axis=1)[:, :5])


@pytest.mark.parametrize("budget", ["1KB", "100KB", "1GB"])
def test_a_memory_budget_never_changes_top_k_of_embeddings(budget):
    generator = np.random.default_rng(0)
    queries, gallery = generator.normal(size=(300, 16)), generator.normal(size=(5000, 16))
    made = EmbeddingScores(queries, gallery)
    whole = made.topk(20)
    with rerankit.settings.using(memory_budget=budget):
        indices, scores = made.topk(20)
    assert np.array_equal(indices, whole[0])
    assert np.array_equal(scores, whole[1])


@pytest.mark.parametrize(
    ("queries", "gallery", "width", "metric"),
    [(130, 1025, 200, "cosine"), (200, 16, 64, "dot"), (200, 5, 384, "euclidean"), (128, 0, 700, "dot")],
)
def test_no_block_changes_a_bit_of_embeddings(queries, gallery, width, metric):
    generator = np.random.default_rng(0)
    given_queries = generator.normal(size=(queries, width)).astype(np.float32)
    # 0: the queries among themselves, of which numpy would make half a product
    items = generator.normal(size=(gallery, width)).astype(np.float32) if gallery else given_queries
    made = EmbeddingScores(given_queries, items, metric)
    whole, best = made.rows(), made.topk(10)
    assert np.array_equal(np.take_along_axis(whole, best[0], axis=1), best[1])
    assert np.array_equal(made.rows(np.arange(queries)[::2]), whole[::2])
    for budget in (1, 1_000_000):
        with rerankit.settings.using(memory_budget=budget):
            found = made.topk(10)
        assert np.array_equal(found[0], best[0])
        assert np.array_equal(found[1], best[1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_embeddings_on_disk_are_checked_where_they_are_read(tmp_path, dtype):
    gallery = np.ones((5, 4), dtype)
    gallery[3, 2] = np.nan
    np.save(tmp_path / "gallery.npy", gallery)
    made = EmbeddingScores(np.ones((2, 4), np.float32), np.load(tmp_path / "gallery.npy", mmap_mode="r"))
    one = np.array([3])
    for read in (made.rows, lambda: made.topk(2), lambda: made.pairs(np.array([0]), one), lambda: made.T.rows(one)):
        with pytest.raises(InputError, match="'gallery' must be finite"):
            read()
    assert np.array_equal(made.T.take(np.array([0, 1])).rows(), np.ones((2, 2)))


@pytest.mark.parametrize("size", [1e-30, 1e-25, 1e20])
def test_cosines_do_not_depend_on_the_size_of_the_vectors(size):
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    plain = EmbeddingScores(vectors[:10], vectors[10:])
    made = EmbeddingScores((vectors[:10] * np.float32(size)), vectors[10:] * np.float32(size))
    np.testing.assert_allclose(made.rows(), plain.rows(), atol=1e-6)
    assert np.array_equal(made.topk(3)[0], plain.topk(3)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("exponent", [-140, -83, -75, -60, -58, -20, 20, 40, 83, 400])
def test_vectors_of_any_length_are_in_the_right_order_or_refused(exponent, metric, dtype):
    random = np.random.default_rng(0)
    sides = [random.normal(size=(count, 8)) for count in (3, 1000)]  # so many that the fast product looks for the best
    expected = EmbeddingScores(*sides, metric).topk(5)[0]
    with np.errstate(over="ignore"):
        longer = [np.ldexp(side, exponent).astype(dtype) for side in sides]
    beyond = {"cosine": abs(exponent) > 83, "dot": not -59 < exponent <= 20, "euclidean": not -100 < exponent < 45}
    if beyond[metric]:
        with pytest.raises(InputError, match=r"'(gallery|scores of '.*' embeddings)' must (lie within|be finite|not )"):
            EmbeddingScores(*longer, metric).topk(5)
        return
    made = EmbeddingScores(*longer, metric)
    np.testing.assert_array_equal(made.topk(5)[0], expected)
    np.testing.assert_array_equal(np.argsort(-made.rows(), axis=1, kind="stable")[:, :5], expected)


@pytest.mark.parametrize(
    ("size", "rule"), [(1e14, "lie within"), (1e-20, "not all be nearer to 0"), (1e-30, "not all")]
)
def test_products_that_scores_cannot_be_are_refused(size, rule):
    made = EmbeddingScores([[size, 0.0]], [[size, size]], "dot")
    for read in (made.rows, lambda: made.topk(1), lambda: made.pairs(np.array([0]), np.array([0]))):
        with pytest.raises(InputError, match=f"scores of 'dot' embeddings' must {rule}"):
            read()


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("width", [3, 31, 384, 700])
def test_a_score_is_one_number_whatever_reads_it(metric, width):
    generator = np.random.default_rng(width)
    queries = (generator.normal(size=(37, width)) * np.exp(generator.normal(size=(37, 1)))).astype(np.float32)
    gallery = generator.normal(size=(1100, width)).astype(np.float16)
    gallery[100:140] = gallery[100]  # more equal items than candidates
    made = EmbeddingScores(queries, gallery, metric)
    whole = made.rows()
    rows, columns = np.indices(whole.shape)
    assert np.array_equal(made.pairs(rows, columns), whole)
    assert np.array_equal(made.T.rows(), whole.T)
    assert np.array_equal(made.rows(np.array([5])), whole[5:6])
    backwards = np.arange(1100)[::-1]
    assert np.array_equal(made.take(None, backwards).rows(), whole[:, backwards])
    for scores, expected in ((made, whole), (made.T, whole.T), (made.take(np.array([8])), whole[8:9])):
        for got, naive in zip(scores.topk(7), naive_topk(expected, 7), strict=True):
            assert np.array_equal(got, naive)


def test_equal_and_nearly_equal_vectors_come_in_the_order_of_their_distances():
    generator = np.random.default_rng(0)
    queries = (3 + generator.normal(size=(200, 64))).astype(np.float32)
    near = [queries + (size * generator.normal(size=queries.shape)).astype(np.float32) for size in (1e-5, 3e-5, 1e-4)]
    made = EmbeddingScores(queries, np.concatenate([near[2], queries, near[0], near[1]]), "euclidean")
    indices, scores = made.topk(4)
    assert (indices == np.arange(200)[:, None] + [200, 400, 600, 0]).all()
    assert (scores[:, 0] == 0).all()
    exact = np.linalg.norm(queries.astype(np.float64) - near[0].astype(np.float64), axis=1)
    np.testing.assert_allclose(-scores[:, 1], exact, rtol=1e-6)


def test_zero_vectors_have_cosine_zero():
    assert EmbeddingScores([[0.0, 0.0]], [[1.0, 0.0]]).rows().tolist() == [[0.0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_number_types(dtype):
    assert np.array_equal(as_scores(DENSE.astype(dtype)).rows(), DENSE)


def test_the_given_array_is_shared_and_stays_writeable():
    given_array = DENSE.copy()
    made = as_scores(given_array)
    assert np.shares_memory(made.rows(), given_array)
    given_array[0, 0] = 9
    assert made.rows()[0, 0] == 9
    with pytest.raises(ValueError, match="read-only"):
        made.rows()[0, 0] = 1


def test_scores_are_returned_as_they_are():
    made = as_scores(DENSE)
    assert as_scores(made) is made


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        tensor = torch.tensor(DENSE, requires_grad=True).to(dtype)
        assert np.array_equal(as_scores(tensor).rows(), DENSE)


class _Wrapped:
    def __array__(self, dtype=None, copy=None):
        return DENSE


class _Exchanged:
    def __dlpack__(self, **options):
        return DENSE.__dlpack__(**options)

    def __dlpack_device__(self):
        return DENSE.__dlpack_device__()


@pytest.mark.parametrize("given_scores", [DENSE.tolist(), _Wrapped(), _Exchanged()], ids=["list", "array", "dlpack"])
def test_anything_array_like(given_scores):
    assert np.array_equal(as_scores(given_scores).rows(), DENSE)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([1, 2], r"'scores' must have two dimensions \(got shape \(2,\)\)"),
        (np.zeros((0, 3)), r"'scores' must not be empty \(got shape \(0, 3\)\)"),
        ([[True, False]], r"'scores' must hold numbers, not booleans"),
        ([["a", "b"]], r"'scores' must hold real numbers \(got dtype <U1"),
        ([[1, 2], [3]], r"'scores' must be a rectangular array \(got list with uneven rows\)"),
        ([[1j, 2]], r"'scores' must hold real numbers"),
        (
            [[1, np.nan], [np.inf, np.nan]],
            r"'scores' must be finite \(got 3 bad cells, the first nan at row 0, column 1\); exclude= leaves",
        ),
        (
            [[1, -np.inf]],
            r"the first -inf at row 0, column 1; numbers beyond 3.4e38 count as infinite\); exclude= leaves pairs out",
        ),
        ([[1, 1e300]], r"'scores' must lie within ±1e\+15 \(got 1 bad cell, the first 1e\+300 at row 0, column 1\)"),
        ([[0, 1e-40]], r"'scores' must not all be nearer to 0 than 1e-35, .* \(got at most 1e-40\)"),
    ],
)
def test_bad_matrices(bad, message):
    with pytest.raises(InputError, match=message):
        as_scores(bad)


def test_bad_embeddings():
    with pytest.raises(InputError, match="'gallery' must have the queries' width, 2"):
        EmbeddingScores([[1.0, 2.0]], [[1.0]])
    with pytest.raises(UnknownNameError, match="did you mean 'cosine'"):
        EmbeddingScores([[1.0]], [[1.0]], "cosin")


@pytest.mark.parametrize(
    ("indices", "scores", "message"),
    [
        ([[0, 4]], [[1, 1]], r"'indices' must lie in 0…3, or be −1 for padding \(got 1 outside, the first 4"),
        (
            [[0, 0]],
            [[1, 1]],
            r"'indices' must not list .*\(got 1 repeated \(row, item\), such as \[\(0, 0\)\]\)",
        ),
        ([[0, 1]], [[1]], r"'scores' must have the shape of 'indices'"),
        ([[0, 1]], [[1, np.nan]], r"'scores' must be finite"),
        ([[0.5, 1]], [[1, 2]], r"'indices' must hold integers"),
    ],
)
def test_bad_lists(indices, scores, message):
    with pytest.raises(InputError, match=message):
        ListScores(indices, scores, 4)


def test_a_memory_map_is_not_read_until_its_rows_are_used(tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "scores.npy", mode="w+", dtype=np.float32, shape=(4, 3))
    array[2, 1] = np.nan
    array.flush()
    mapped = np.load(tmp_path / "scores.npy", mmap_mode="r")
    made = as_scores(mapped)  # a matrix in memory would be refused here
    assert made.rows(slice(0, 2)).tolist() == [[0, 0, 0]] * 2
    with pytest.raises(InputError, match="1 bad cell, the first nan at row 2, column 1"):
        made.rows(slice(1, 4))


def mapped(tmp_path, array):
    np.save(tmp_path / "scores.npy", array)
    return as_scores(np.load(tmp_path / "scores.npy", mmap_mode="r"))


@pytest.mark.parametrize("rows", [None, [4, 0, 2]])
@pytest.mark.parametrize("columns", [None, [1, 5, 3, 0]])
def test_a_choice_of_a_memory_map_answers_as_a_matrix(tmp_path, rows, columns):
    scores = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    picks = [None if pick is None else np.array(pick) for pick in (rows, columns)]
    lazy, plain = mapped(tmp_path, scores).take(*picks), DenseScores(scores).take(*picks)
    again = [np.arange(size)[::-2] for size in plain.shape]
    for one, other in ((lazy, plain), (lazy.T, plain.T), (lazy.take(*again), plain.take(*again))):
        assert repr(one).startswith(f"TakenScores({one.shape[0]} × {one.shape[1]} of DenseScores(")
        assert one.shape == other.shape
        assert np.array_equal(one.rows(), other.rows())
        assert np.array_equal(one.rows(slice(1, 3)), other.rows(slice(1, 3)))
        assert np.array_equal(one.pairs(np.array([[1], [0]]), np.array([0, 1])), other.rows(np.array([1, 0]))[:, :2])
        for got, expected in zip(one.topk(2), other.topk(2), strict=True):
            assert np.array_equal(got, expected)


def test_a_choice_of_a_memory_map_copies_nothing_and_is_checked_where_it_is_read(tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (20_000, 20_000))  # 1.6 GB of holes
    array[7, 7] = np.nan
    array.flush()
    del array
    problem = rerankit.read(tmp_path / "large.npy", "problem")
    with measure() as cost:
        part = problem.subset(queries=np.arange(0, 20_000, 2), gallery=np.arange(0, 20_000, 2))
        assert part.scores.rows(slice(0, 2)).shape == (2, 10_000)
    assert cost.peak_bytes < 50e6
    with pytest.raises(InputError, match="'scores' must be finite"):
        problem.subset(queries=[7]).ranking(1)


def test_blocks_cover_all_rows_once():
    with rerankit.settings.using(memory_budget=1000):
        found = list(blocks(10, row_bytes=300))
    assert [row for block in found for row in range(10)[block]] == list(range(10))
    assert max(block.stop - block.start for block in found) == 3


def test_distances_far_from_the_origin_keep_their_digits():
    generator = np.random.default_rng(0)
    queries, gallery = 100 + generator.normal(size=(20, 16)), 100 + generator.normal(size=(30, 16))
    expected = -np.linalg.norm(queries[:, None] - gallery[None], axis=2)
    made = EmbeddingScores(queries, gallery, "euclidean")
    np.testing.assert_allclose(made.rows(), expected, atol=1e-4)
    np.testing.assert_allclose(made.T.rows(), expected.T, atol=1e-4)
