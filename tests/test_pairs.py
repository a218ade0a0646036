"""Pairs, and items left out of a query's gallery wherever they are met."""

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Ranking, Relevance, Stage, settings
from rerankit.errors import InputError
from rerankit.measure import measure
from rerankit.metrics import evaluate
from rerankit.pairs import Pairs, as_pairs


def test_pairs_against_a_dense_matrix():
    random = np.random.default_rng(0)
    dense = random.random((7, 11)) < 0.3
    rows, columns = np.nonzero(dense)
    order = random.permutation(len(rows))
    pairs = Pairs(rows[order], columns[order], dense.shape)
    assert repr(pairs) == f"Pairs({dense.sum()} in 7 × 11)"
    assert pairs == Pairs.from_lists([np.flatnonzero(row).tolist() for row in dense], 11)
    assert [pairs.of(row).tolist() for row in range(7)] == [np.flatnonzero(row).tolist() for row in dense]
    assert np.array_equal(pairs.counts, dense.sum(axis=1))
    items = random.integers(-1, 11, (7, 5))
    assert np.array_equal(pairs.holds(items), np.take_along_axis(dense, items, axis=1) & (items >= 0))
    assert pairs.reversed() == Pairs(*np.nonzero(dense.T), dense.T.shape)
    some, few = np.array([5, 0, 3]), np.array([10, 2, 4, 7])
    assert pairs.take(some, few) == Pairs(*np.nonzero(dense[some][:, few]), (3, 4))
    assert pairs.take() is pairs
    other = random.random((7, 11)) < 0.2
    assert (pairs | Pairs(*np.nonzero(other), dense.shape)) == Pairs(*np.nonzero(dense | other), dense.shape)
    assert (pairs | pairs) is pairs
    assert hash(pairs) == hash(Pairs(rows, columns, dense.shape))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            [[0, 0]],
            r"'exclude' must name an item once for a query \(got 1 repeated \(query, item\), such as \[\(0, 0\)\]",
        ),
        ([[3]], r"'exclude columns' must lie in 0…2"),
        ([[0], [1]], r"'exclude' must be for 1 queries and 3 items \(got \(2, 3\)\)"),
        (3, r"'exclude' must be one list of gallery row numbers per query \(got int\)"),
        (iter([[0]]), r"'exclude' must be one list of gallery row numbers per query \(got list_iterator\)"),
        (["a"], "'exclude' must be one list of gallery row numbers per query"),
        ([["a"]], "'exclude' must list gallery row numbers"),
        (([0, 0], [1]), r"'exclude' as a tuple must be two arrays of one length, the rows .*\(got arrays of 2, 1\)"),
        (([0], [1], [2]), r"a list of items for each query must be in a list\) \(got arrays of 1, 1, 1\)"),
        (([[0], [1, 2]], [[1], [2]]), r"'exclude' must be a rectangular array \(got list with uneven rows\)"),
    ],
)
def test_what_pairs_must_be(value, message):
    with pytest.raises(InputError, match=message):
        as_pairs(value, (1, 3), "exclude")


def test_a_tuple_may_hold_tensors():
    tensor = pytest.importorskip("torch").tensor
    assert as_pairs((tensor([0, 1]), tensor([2, 0])), (2, 3), "exclude") == Pairs.from_lists([[2], [0]], 3)


def test_left_out_items_go_by_id_as_candidates_do():
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]])
    expected = Pairs.from_lists([[0], [2, 1]], 3)
    lists = [["a"], ["c", "b"]]
    named = Problem(scores, gallery_ids=["a", "b", "c"])
    assert Problem(scores, gallery_ids=["a", "b", "c"], exclude=lists).excluded == expected
    assert named.excluding([{"a"}, {"b", "c"}]).excluded == expected
    assert named.ranking().excluding(lists).excluded == expected
    assert rerankit.Gallery(np.eye(3), ids=["a", "b", "c"]).problem(np.eye(3)[:2], exclude=lists).excluded == expected
    assert named.excluding([[0], [2, 1]]).excluded == expected  # whole numbers are rows where ids are texts
    numbered = Problem(scores, gallery_ids=[2, 1, 0])
    assert numbered.excluding([[2], [0, 1]]).excluded == expected  # and ids where ids are whole numbers
    with pytest.raises(InputError, match=r"'exclude' must name only known ids \(got 1 of 1 unknown, such as \['z'\]"):
        named.excluding([["z"], []])
    with pytest.raises(InputError, match="'exclude' must be a list, or one list for each query"):
        named.excluding([["a"], None])


@pytest.mark.parametrize("mark", [np.nan, -np.inf, np.inf, -3.4e38])
def test_cells_that_are_left_out_may_hold_no_number(mark):
    random = np.random.default_rng(0)
    scores = random.normal(size=(30, 20)) - 5
    gone = random.random(scores.shape) < 0.2
    gone[3] = True
    lowest = np.where(gone, np.inf, scores).min(axis=1, keepdims=True)
    filled = np.where(gone, np.where(np.isinf(lowest), 0, lowest), scores)
    problem, expected = Problem(np.where(gone, mark, scores), exclude=gone), Problem(filled, exclude=gone)
    np.testing.assert_array_equal(problem.scores.rows(), expected.scores.rows())
    assert rerankit.rerank(problem, "sinkhorn") == rerankit.rerank(expected, "sinkhorn")
    far = Problem.from_distances(np.where(gone, mark, -scores), exclude=gone)
    np.testing.assert_array_equal(far.scores.rows(), expected.scores.rows())
    gone[0, 0], scores[0, 0] = False, np.nan
    with pytest.raises(InputError, match=r"'scores' must be finite .* at row 0, column 0.*cells may then hold NaN"):
        Problem(np.where(gone, np.nan, scores), exclude=gone)


def test_cells_that_are_left_out_may_hold_no_number_in_lists_tensors_and_half_precision():
    scores = [[0.9, np.nan, 0.2], [0.5, 0.1, 0.4]]

    def read(given):
        return Problem(given, exclude=[[1], []]).scores.rows().round(3).tolist()

    expected = np.float32([[0.9, 0.2, 0.2], [0.5, 0.1, 0.4]]).tolist()
    assert read(scores) == expected
    assert np.allclose(read(np.array(scores, np.float16)), expected, atol=1e-3)
    with pytest.raises(InputError, match="'scores' must be a rectangular array"):
        read([[0.9, np.nan], [0.5]])
    torch = pytest.importorskip("torch")
    assert read(torch.tensor(scores)) == expected


@pytest.mark.parametrize("budget", [1, 10**9])
@pytest.mark.parametrize("library", ["numpy", "h5py"])
def test_cells_that_are_left_out_may_hold_no_number_on_disk(tmp_path, library, budget):
    random = np.random.default_rng(0)
    scores = random.normal(size=(30, 20)).astype(np.float32) - 5
    gone = random.random(scores.shape) < 0.2
    gone[3] = True

    def on_disk(name, array):
        if library == "numpy":
            np.save(tmp_path / name, array)
            return np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        return pytest.importorskip("h5py").File(tmp_path / name, "w").create_dataset("scores", data=array)

    with settings.using(memory_budget=budget):
        expected = Problem(np.where(gone, np.nan, scores), exclude=gone)
        problem = Problem(on_disk("scores", np.where(gone, np.nan, scores)), exclude=gone)
        far = Problem.from_distances(on_disk("far", np.where(gone, np.inf, -scores)), exclude=gone)
        every, some = np.arange(20), np.array([7, 3, 3])
        for each in (problem, far):
            np.testing.assert_array_equal(each.scores.rows(), expected.scores.rows())
            np.testing.assert_array_equal(each.scores.T.rows(some), expected.scores.rows()[:, some].T)
            np.testing.assert_array_equal(each.scores.T.T.rows(some), expected.scores.rows()[some])
            np.testing.assert_array_equal(
                each.scores.take(some, every[::-1]).rows(), expected.scores.rows()[some][:, ::-1]
            )
            np.testing.assert_array_equal(each.scores.pairs(some[:, None], every), expected.scores.rows()[some])
            assert rerankit.rerank(each, "sinkhorn") == rerankit.rerank(expected, "sinkhorn")
        right = Relevance.from_lists([np.flatnonzero(~row)[:1] for row in gone], 20, exclude=gone)
        assert evaluate(problem, right, "mrr", empty="skip") == evaluate(expected, right, "mrr", empty="skip")
        gone[0, 0], scores[0, 0] = False, np.nan
        with pytest.raises(InputError, match=r"'scores' must be finite .* at row 0, column 0"):
            Problem(on_disk("bad", np.where(gone, np.nan, scores)), exclude=gone).scores.rows()
        with pytest.raises(InputError, match=r"'scores' must be finite .* at row 0, column 0"):
            # The bad cell is not left out, and what is left out has numbers.
            Problem(on_disk("none", scores), exclude=[[], *[[1]] * 29]).scores.pairs(np.array([0]), np.array([0]))


def test_scores_are_not_taken_for_distances():
    with pytest.raises(InputError, match=r"'distances' must be an array of numbers \(got DenseScores\)"):
        Problem.from_distances(Problem([[0.9, 0.1]]).scores)


def test_left_out_cells_of_a_memory_map_are_filled_in_bounded_memory(tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (5_000, 5_000))  # 100 MB
    array[:] = 1
    array[np.arange(5_000), np.arange(5_000)] = np.nan
    array.flush()
    del array
    with settings.using(memory_budget=10_000_000), measure() as cost:
        scores = np.load(tmp_path / "large.npy", mmap_mode="r")
        problem = Problem(scores, exclude=[[row] for row in range(5_000)])
        assert problem.scores.rows(slice(70, 72))[:, 69:73].tolist() == [[1] * 4] * 2
    assert cost.peak_bytes < 140e6  # the pages of the file, and little beside them


def test_left_out_items_take_no_candidate_slot():
    scores = np.random.default_rng(1).standard_normal((6, 20))
    whole = Problem(scores).ranking()
    gone = [row[:n].tolist() for n, row in enumerate(whole.indices)]
    problem = Problem(scores, exclude=gone)
    assert repr(problem) == "Problem(6 queries × 20 items, with 15 pairs left out)"
    for k in (1, 4, 20):
        found = problem.ranking(k)
        assert found.shape == (6, k)
        for row, listed in enumerate(found.indices.tolist()):
            expected = whole.indices[row, row : row + k].tolist()
            assert listed == expected + [-1] * (k - len(expected))
    assert found.excluded is problem.excluded
    lists = Problem.from_rankings(whole.indices, whole.scores, 20).excluding(problem.excluded)
    embeddings = Problem.from_embeddings(scores, np.eye(20), "dot", exclude=gone)
    for other in (lists, embeddings):
        assert np.array_equal(other.ranking(4).indices, problem.ranking(4).indices)


def test_left_out_items_cost_no_pair():
    class Reader(Stage):
        name = "reader"

        def rescore(self, problem, ranking):
            self.read = set(zip(*[a.tolist() for a in np.nonzero(ranking.mask)], strict=True))
            assert not problem.excluded.holds(ranking.indices).any()
            return -ranking.scores

    scores = np.random.default_rng(2).standard_normal((4, 9))
    problem = Problem(scores, exclude=[[item] for item in scores.argmax(axis=1)])
    for pipeline in (Reader(), Reader().top(2), Reader() >> "csls" >> Reader().top(3)):
        found = rerankit.rerank(problem, pipeline, k=4)
        assert found.excluded is problem.excluded
        assert not problem.excluded.holds(found.indices).any()
    with pytest.raises(InputError, match=r"'indices' must not list items that are left out \(got 4 excluded"):
        rerankit.Pipeline([Reader()]).rerank(problem, Problem(scores).ranking(3))


def test_they_follow_the_problem_and_the_ranking():
    scores = np.random.default_rng(3).standard_normal((5, 7))
    problem = Problem(scores, exclude=[[1, 2], [], [6], [0], [3, 4]])
    assert problem.reversed().excluded == problem.excluded.reversed()
    assert problem.reversed().reversed().ranking(3) == problem.ranking(3)
    part = problem.subset(queries=[4, 0], gallery=[2, 3, 6])
    assert [part.excluded.of(row).tolist() for row in range(2)] == [[1], [0]]
    assert problem.with_ids(query_ids=list("abcde")).excluded is problem.excluded
    assert problem.excluding(None) is problem
    more = problem.excluding([[0], [], [], [], []])
    assert more.excluded.of(0).tolist() == [0, 1, 2]
    ranking = problem.ranking(3)
    assert ranking.take([4, 1]).excluded == problem.excluded.take(np.array([4, 1]))
    halves = [ranking.take([0, 1]), ranking.take([2, 3, 4])]
    joined = Ranking.concat(halves)
    assert joined == ranking
    assert joined.excluded == problem.excluded
    assert Ranking.merge([ranking]).excluded == problem.excluded
    assert rerankit.fuse([problem, Problem(-scores)], k=None).excluded == problem.excluded
    with pytest.raises(InputError, match=r"'indices' must not list items that are left out \(got 1 excluded"):
        Ranking([[0]], [[1.0]], exclude=[[0]])


def test_they_are_written_and_read(tmp_path):
    problem = Problem(np.random.default_rng(4).standard_normal((3, 5)), exclude=[[1], [], [0, 4]])
    for name in ("folder", "problem.npz", "problem.safetensors"):
        assert rerankit.read(rerankit.write(tmp_path / name, problem)).excluded == problem.excluded
    ranking = problem.ranking(2)
    read = rerankit.read(rerankit.write(tmp_path / "run.npz", ranking))
    assert (read, read.excluded) == (ranking, problem.excluded)
    with pytest.raises(InputError, match=r"npy holds one matrix, and this problem has items left out"):
        rerankit.write(tmp_path / "problem.npy", problem)
    rerankit.write(tmp_path / "half.npz", {"scores": np.eye(2), "excluded/indptr": np.zeros(3, np.int64)})
    with pytest.raises(InputError, match=r"items left out are excluded/indptr and excluded/indices"):
        rerankit.read(tmp_path / "half.npz")


def test_relevance_and_problem_agree():
    scores = np.random.default_rng(5).standard_normal((4, 8))
    gone = [[0], [1], [2], [3]]
    problem, relevance = Problem(scores, exclude=gone), Relevance.from_lists([[4], [5], [6], [7]], 8)
    both = Relevance.from_lists([[4], [5], [6], [7]], 8, exclude=gone)
    metrics = ("success@1", "mean_rank")
    expected = rerankit.evaluate(scores, both, metrics)
    assert dict(rerankit.evaluate(problem, relevance, metrics)) == dict(expected)
    ranking = problem.ranking(3)
    tailed = rerankit.evaluate(ranking, relevance, metrics, tail=scores)
    assert dict(tailed) == dict(rerankit.evaluate(Problem(scores).ranking(3), both, metrics, tail=scores))
    wrong = Relevance.from_lists([[0], [5], [6], [7]], 8)
    for judged in (problem, ranking):
        with pytest.raises(InputError, match=r"'exclude' must not hold relevant items \(got 1 relevant"):
            rerankit.evaluate(judged, wrong, metrics)
    with pytest.raises(InputError, match=r"'exclude' must not hold relevant items"):
        rerankit.stage("calibrate").fit(problem, wrong)


@pytest.mark.parametrize("made", [np.asarray, lambda mask: pytest.importorskip("torch").tensor(mask)])
def test_a_mask_of_booleans_leaves_pairs_out(made):
    scores = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    mask = np.random.default_rng(1).random((4, 6)) < 0.3
    named = [np.flatnonzero(row).tolist() for row in mask]
    by_mask, by_lists = (Problem(scores, exclude=one) for one in (made(mask), named))
    assert by_mask.excluded == by_lists.excluded
    assert np.array_equal(by_mask.ranking(3).indices, by_lists.ranking(3).indices)
    ready = rerankit.prepare("nnn", rerankit.Gallery.from_scores(bank=rerankit.Bank(to_gallery=scores)))
    answers = [ready.rerank(scores=scores, exclude=one, k=3) for one in (made(mask), named)]
    assert np.array_equal(answers[0].indices, answers[1].indices)
    with pytest.raises(InputError, match=r"'exclude' as a mask must be of shape \(4, 6\) \(got \(4, 5\)\)"):
        Problem(scores, exclude=mask[:, :5])
