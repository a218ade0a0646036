from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import rerankit
from rerankit import Bank, Gallery, ListScores, Problem, Relevance
from rerankit.errors import InputError, RerankitWarning
from strategies import distinct, full_problem


def test_repr():
    assert repr(Problem([[1, 2]])) == "Problem(1 queries × 2 items)"
    problem = full_problem(3, 4).with_features(query_features={"words": ["a", "b", "c"]})
    assert repr(problem) == ("Problem(3 queries × 4 items, with query_scores, gallery_scores, words (query))")
    assert repr(Problem.from_rankings([[1]], [[0.5]], 4)) == "Problem(1 queries × 4 items, ListScores)"


def test_ranking_follows_the_tie_rule():
    ranking = Problem([[1, 2, 2], [0, 0, 0]]).ranking()
    assert ranking.indices.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert Problem([[1, 2, 2]]).ranking(99).shape == (1, 3)
    with pytest.raises(InputError, match="'k' must be at least 1"):
        Problem([[1]]).ranking(0)


def test_nothing_given_is_modified():
    scores = distinct(4, 5)
    before = scores.copy()
    problem = Problem(scores, query_scores=np.eye(4), gallery_scores=np.eye(5))
    problem.ranking(2)
    problem.reversed().ranking(2)
    assert np.array_equal(scores, before)
    assert scores.flags.writeable
    assert np.shares_memory(problem.scores.rows(), scores)


def test_reversed_swaps_every_side():
    problem = Problem(
        distinct(2, 3),
        query_scores=np.eye(2),
        gallery_scores=np.eye(3),
        query_ids=["a", "b"],
        gallery_ids=[7, 8, 9],
        query_features={"words": ["x", "y"]},
        query_bank=Bank(to_gallery=np.ones((5, 3)), to_queries=np.ones((5, 2))),
    )
    turned = problem.reversed()
    assert turned.shape == (3, 2)
    assert turned.query_scores.shape == (3, 3)
    assert turned.gallery_scores.shape == (2, 2)
    assert turned.query_ids.tolist() == [7, 8, 9]
    assert (dict(turned.query_features), list(turned.gallery_features)) == ({}, ["words"])
    assert turned.query_bank is None
    assert turned.gallery_bank.to_queries.shape == (5, 3)
    assert turned.gallery_bank.to_gallery.shape == (5, 2)
    assert np.array_equal(turned.reversed().scores.rows(), problem.scores.rows())


def test_embeddings_know_all_four_relations():
    problem = Problem.from_embeddings(np.eye(3), np.eye(3)[:2], query_bank=np.eye(3))
    assert problem.query_scores.rows().tolist() == np.eye(3).tolist()
    assert problem.gallery_scores.shape == (2, 2)
    assert problem.reversed().gallery_scores.shape == (3, 3)
    assert problem.query_bank.to_gallery.shape == (3, 2)
    assert problem.query_bank.to_queries.shape == (3, 3)


def test_distances_are_turned():
    problem = Problem.from_distances([[3, 1]], query_distances=[[0]], gallery_distances=[[0, 1], [1, 0]])
    assert problem.ranking(1).indices.tolist() == [[1]]
    assert problem.gallery_scores.rows().tolist() == [[0, -1], [-1, 0]]


def test_subset():
    problem = full_problem(4, 5).with_features(query_features={"words": list("abcd")})
    part = problem.subset(queries=[2, 0], gallery=[4, 1, 0])
    assert np.array_equal(part.scores.rows(), problem.scores.rows()[[2, 0]][:, [4, 1, 0]])
    assert np.array_equal(part.gallery_scores.rows(), problem.gallery_scores.rows()[np.ix_([4, 1, 0], [4, 1, 0])])
    assert list(part.query_features["words"]) == ["c", "a"]
    assert problem.subset(gallery=np.array([True, False, False, False, True])).shape == (4, 2)


def test_one_name_may_stand_on_both_sides():
    problem = Problem(distinct(2, 3), query_features={"text": ["a", "b"]}, gallery_features={"text": list("xyz")})
    assert list(problem.query_features["text"]) == ["a", "b"]
    assert list(problem.reversed().query_features["text"]) == ["x", "y", "z"]
    assert list(problem.subset(gallery=[2]).gallery_features["text"]) == ["z"]
    more = problem.with_features(gallery_features={"text": ["1", "2", "3"], "age": [7, 8, 9]})
    assert repr(more) == "Problem(2 queries × 3 items, with text (query), text (gallery), age (gallery))"
    assert (more.gallery_features["text"][0], problem.gallery_features["text"][0]) == ("1", "x")


def test_extra_scores_follow_the_problem():
    scores, other = distinct(3, 4), distinct(3, 4, seed=1)
    lists = ListScores([[0, 1], [2, -1], [3, 0]], [[2, 1], [1, -np.inf], [5, 4]], 4)
    problem = Problem(scores, extra_scores={"clip": other, "lists": lists})
    assert repr(problem) == "Problem(3 queries × 4 items, with clip (extra scores), lists (extra scores))"
    np.testing.assert_array_equal(problem.reversed().extra_scores["clip"].rows(), other.T)
    some = problem.subset(queries=[2, 0], gallery=[1, 3])
    np.testing.assert_array_equal(some.extra_scores["clip"].rows(), np.float32(other)[[2, 0]][:, [1, 3]])
    assert isinstance(some.extra_scores["lists"], ListScores)
    assert list(Problem(scores).with_extra_scores({"x": other}).extra_scores) == ["x"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Problem([[1, 2]], query_scores=[[1, 2]]), r"'query_scores' must have shape \(1, 1\)"),
        (lambda: Problem([[1, 2]], gallery_scores=np.eye(3)), r"'gallery_scores' must have shape \(2, 2\)"),
        (lambda: Problem([[1, 2]], gallery_ids=["a", "a"]), r"'gallery_ids' must be unique \(got 1 repeated ids"),
        (lambda: Problem([[1, 2]], gallery_ids=["a"]), r"'gallery_ids' must have one id for each of the 2 rows"),
        (lambda: Problem([[1, 2]], query_ids=[0.5]), r"'query_ids' must be a list of texts or integers"),
        (
            lambda: Problem([[1, 2]], gallery_features={"a": [1, 2, 3]}),
            r"'gallery_features\['a'\]' must have one entry for each of the 2 gallery items \(got 3",
        ),
        (lambda: Problem(np.eye(3), query_features={"a": "abc"}), r"must have one entry per item \(got 'abc'\)"),
        (
            lambda: Problem([[1]], query_features={"text": [None]}),
            r"features\['text'\]' must have an entry for at least",
        ),
        (lambda: Problem([[1]], query_features={"a/b": ["x"]}), r"'query_features' must have names without '/'"),
        (lambda: Problem([[1]], extra_scores={"x": [[1, 2]]}), r"extra_scores\['x'\]' must have the shape of 'scores'"),
        (lambda: Problem([[1]], extra_scores={"scores": [[1]]}), r"'extra_scores' must have names without '/', other"),
        (lambda: Problem([[1]], extra_scores=[[1]]), r"'extra_scores' must map names to scores \(got list\)"),
        (lambda: Problem([[1, 2]], query_bank=np.ones((3, 2))), r"'query_bank' must be a rerankit.Bank"),
        (
            lambda: Problem([[1, 2]], query_bank=Bank(to_gallery=np.ones((3, 5)))),
            r"'query_bank.to_gallery' must have 2 columns to agree with 'scores' \(got shape \(3, 5\)\)",
        ),
        (lambda: Problem([[1, 2]]).subset(queries=[4]), r"'queries' must lie in 0…0 \(got 4…4\)"),
        (lambda: Bank(), r"a bank needs 'to_gallery', 'to_queries' or both"),
        (lambda: Bank(to_gallery=[[1]], to_queries=[[1], [2]]), r"'to_queries' must have as many rows"),
    ],
)
def test_bad_problems(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_embeddings_are_all_a_problem_knows_unless_a_matrix_was_given():
    vectors = [[1.0, 0.0], [0.0, 1.0]]
    alone = Problem.from_embeddings(vectors, vectors)
    assert alone.embeddings is alone.scores
    assert Problem.from_embeddings(vectors, vectors, gallery_scores=np.eye(2)).embeddings is None
    assert Problem(np.eye(2)).embeddings is None


def test_with_ids_changes_only_the_ids_that_are_given() -> None:
    problem = Problem([[0.1, 0.9]], query_ids=["a"]).with_ids(gallery_ids=["x", "y"])
    assert problem.query_ids is not None
    assert problem.query_ids.tolist() == ["a"]
    assert problem.gallery_ids is not None
    assert problem.gallery_ids.tolist() == ["x", "y"]
    with pytest.raises(InputError):
        problem.with_ids(gallery_ids=["x", "x"])


class _Broken:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no numbers today")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Problem("a.npz"), r"'scores' must be numbers: rerankit.read\(path\) reads a file \(got 'a.npz'\)"),
        (lambda: Problem(Path("a.npz")), r"rerankit.read\(path\) reads a file \(got 'a.npz'\)"),
        (
            lambda: Problem.from_embeddings(np.eye(3), np.eye(3), query_bank=np.ones((4, 2))),
            r"'query_bank' must have the gallery's width, 3 \(got shape \(4, 2\)\)",
        ),
        (
            lambda: Problem.from_embeddings(np.eye(3), np.eye(3), gallery_bank=[[0, np.nan, 0]]),
            r"'gallery_bank' must be finite",
        ),
        (lambda: Problem(_Broken()), r"'scores' must be an array \(got _Broken: no numbers today\)"),
        (lambda: Problem([np.ma.masked_array([1.0, 9.0], mask=[0, 1])]), r"'scores' must not be masked"),
        (lambda: Problem({b"q": {"a": 1.0}}), r"'queries of scores' must be texts or whole numbers"),
        (lambda: Problem({"q": {None: 1.0}}), r"'items of scores' must be texts or whole numbers"),
        (lambda: Problem({"q": {1.0: 1.0}}), r"'items of scores' must be texts or whole numbers"),
        (lambda: Problem(np.ma.masked_array([[1.0, 9.0]], mask=[[0, 1]])), r"'scores' must not be masked"),
        (
            lambda: Problem.from_embeddings(sparse.csr_matrix(np.eye(2)), np.eye(2)),
            r"'queries' must not be sparse: give value.toarray\(\)",
        ),
        (lambda: Problem(Problem([[1]])), r"'scores' must be an array of numbers \(got Problem\)"),
        (lambda: rerankit.rerank(Problem([[1]]).ranking(), "fuse"), r"'problem' must be scores: a ranking goes to"),
        (lambda: Problem([[1, 2]]).subset(queries=[]), r"'queries' must name at least one"),
        (lambda: Problem([[1, 2]]).subset(gallery=slice(5, 9)), r"'gallery' must name at least one"),
        (lambda: Problem([[1, 2]]).ranking().take([1]), r"'queries' must lie in 0…0 \(got 1…1\)"),
        (lambda: Problem([[1, 2]]).ranking(1.5), r"'k' must be a whole number \(got 1.5\)"),
        (lambda: Problem([[1, 2]]).ranking().top(True), r"'k' must be a whole number \(got True\)"),
        (lambda: Problem.from_rankings([[0]], [[1]], 2.5), r"'gallery_size' must be a whole number"),
        (
            lambda: Problem([[1, 2]], query_features={"a": 5}),
            r"features\['a'\]' must have one entry per item \(got int\)",
        ),
        (lambda: Problem([[1]], query_features=[1]), r"'query_features' must map names to values \(got list\)"),
        (lambda: Problem([[1]], query_ids=[None]), r"'query_ids' must be a list of texts or integers \(got None\)"),
        (lambda: Problem([[1]], query_ids=[b"\xff"]), r"'query_ids' must be texts in UTF-8"),
        (lambda: Problem([[1]], query_ids=np.uint64([2**63])), r"'query_ids' must fit 64-bit integers"),
        (lambda: Problem.from_distances([[np.nan]]), r"'distances' must be finite"),
        (lambda: Relevance.from_lists([[1, 2], [0]], 3, grades=[[1], [2, 3]]), r"one grade for each item of a query"),
        (lambda: Relevance.from_lists(iter([[1]]), 3), r"'items' must be one list of gallery row numbers per query"),
        (lambda: Relevance.from_lists([[1]], 3, exclude=2), r"'exclude' must have one list for each .* \(got int\)"),
        (lambda: Relevance.from_lists([1, 2], 3), r"'items' must be one list of gallery row numbers per query"),
        (lambda: Relevance.from_sparse(np.eye(2)), r"'matrix' must be a scipy sparse matrix"),
        (lambda: Relevance.from_dict({"q": {"a": "x"}}, ["q"], ["a"]), r"must be a finite number \(got 'x'\)"),
        (lambda: Relevance.from_dict({"q": "a"}, ["q"], ["a"]), r"'qrels' must map queries to \{item: grade\}"),
        (lambda: Relevance.from_lists([[0]], 3, grades=[[np.inf]]), r"'grades' must be finite .*\(got \[inf\]\)"),
        (lambda: Relevance.from_lists([[0]], 3).of(-1), r"'query' must be at least 0"),
    ],
)
def test_more_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_memory_maps_stay_maps(tmp_path):
    for dtype in (np.int16, np.float64):
        np.save(tmp_path / "map.npy", np.arange(12, dtype=dtype).reshape(3, 4))
        mapped = np.load(tmp_path / "map.npy", mmap_mode="r")
        for problem, sign in ((Problem(mapped), 1), (Problem.from_distances(mapped), -1)):
            assert np.shares_memory(problem.scores._array, mapped)
            assert np.array_equal(problem.scores.rows(slice(1, 3)), sign * np.asarray(mapped)[1:])
            assert np.array_equal(problem.scores.T.rows(), sign * np.asarray(mapped).T)
            assert problem.scores.pairs(np.array([2]), np.array([1])).tolist() == [sign * 9]
            assert np.array_equal(problem.scores.array, sign * np.asarray(mapped))


def test_a_bad_cell_of_a_map_is_named_by_its_own_row(tmp_path):
    array = np.zeros((5, 3), np.float32)
    array[4, 1] = np.nan
    np.save(tmp_path / "map.npy", array)
    scores = Problem(np.load(tmp_path / "map.npy", mmap_mode="r")).scores
    for read in (
        lambda: scores.rows(np.array([0, 4])),
        lambda: scores.rows(slice(-2, None)),
        lambda: scores.pairs(np.array([0, 4]), np.array([0, 1])),
    ):
        with pytest.raises(InputError, match="the first nan at row 4, column 1"):
            read()


def test_any_float_type_of_torch():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float8_e4m3fn, torch.bfloat16, torch.float16, torch.float64):
        assert Problem(torch.tensor([[1.0, 2.0]]).to(dtype)).scores.rows().tolist() == [[1, 2]]
    with pytest.raises(InputError, match=r"'queries' must not be sparse: give value.to_dense\(\)"):
        Problem.from_embeddings(torch.eye(2).to_sparse(), torch.eye(2))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_numpy_matrix_is_an_array():
    given = np.matrix([[0.1, 0.9], [0.5, 0.4]])
    problem = Problem(given, query_scores=np.matrix(np.eye(2)), query_features={"v": np.matrix(np.eye(2))})
    assert rerankit.rerank(problem, "mutual-rank") == rerankit.rerank(Problem(np.asarray(given)), "mutual-rank")
    assert rerankit.rerank(given, "csls").indices.shape == (2, 2)


def test_whole_numbers_that_float32_does_not_tell_apart_are_told():
    with pytest.warns(RerankitWarning, match=r"'scores' has whole numbers beyond 2\*\*24, .*: 1 were rounded"):
        Problem(np.array([[2**24, 2**24 + 1]]))
    Problem(np.array([[2**24, 2**25, -(2**30)]]))  # these are held
    Problem(np.array([[3, 5]], np.uint8))


def test_a_centre_is_taken_from_the_vectors_of_each_side_and_its_bank():
    random = np.random.default_rng(0)
    queries, gallery, query_bank, gallery_bank = (random.normal(size=(count, 4)) + 3 for count in (5, 6, 7, 8))
    banks = {"query_bank": query_bank, "gallery_bank": gallery_bank}
    means = query_bank.mean(axis=0), gallery.mean(axis=0)
    by_hand = Problem.from_embeddings(
        queries - means[0], gallery - means[1], query_bank=query_bank - means[0], gallery_bank=gallery_bank - means[1]
    )
    for centre in ("bank", means):
        found = Problem.from_embeddings(queries, gallery, **banks, centre=centre)
        np.testing.assert_array_equal(found.scores.rows(), by_hand.scores.rows())
        np.testing.assert_array_equal(found.query_bank.to_gallery.rows(), by_hand.query_bank.to_gallery.rows())
        np.testing.assert_array_equal(found.gallery_bank.to_queries.rows(), by_hand.gallery_bank.to_queries.rows())
    alone = Problem.from_embeddings(queries[:1], gallery, **banks, centre="bank")
    np.testing.assert_array_equal(alone.scores.rows(), by_hand.scores.rows()[:1])


@pytest.mark.parametrize(
    ("centre", "message"),
    [
        ("gallery", "'centre' must be 'bank' or two vectors"),
        (3, "'centre' must be 'bank' or two vectors"),
        (np.ones((3, 4)), "'centre' must be 'bank' or two vectors"),
        ("bank", "centre='bank' needs query_bank="),
        ((np.ones(4), np.ones(3)), "'centre' must be two vectors of 4 finite numbers"),
        ((np.ones(4), np.full(4, np.nan)), "'centre' must be two vectors of 4 finite numbers"),
    ],
)
def test_what_is_no_centre_is_refused(centre, message):
    with pytest.raises(InputError, match=message):
        Problem.from_embeddings(np.ones((2, 4)), np.eye(4), centre=centre)


def test_a_centre_of_another_width_is_refused():
    with pytest.raises(InputError, match="'query_bank' must be vectors of width 4, as 'centre' is"):
        Problem.from_embeddings(np.ones((2, 4)), np.eye(4), query_bank=np.ones((2, 3)), centre=(np.ones(4), np.ones(4)))


@pytest.mark.parametrize("items", [3, 40])
def test_distances_among_items_are_no_similarities(items, tmp_path):
    points = np.random.default_rng(0).normal(size=(items, 4))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    words = r"must be similarities, .* as distances are\): give Problem.from_distances\(…, {}=…\), or fill the diagonal"
    with pytest.raises(InputError, match="'gallery_scores' " + words.format("gallery_distances")):
        Problem(np.ones((2, items)), gallery_scores=distances)
    np.save(tmp_path / "distances.npy", distances)
    with pytest.raises(InputError, match="'query_scores' " + words.format("query_distances")):
        Problem(np.ones((items, 2)), query_scores=np.load(tmp_path / "distances.npy", mmap_mode="r"))
    with pytest.raises(InputError, match="'gallery_scores' must be similarities"):
        Gallery.from_scores(gallery_scores=distances)
    Problem(np.ones((2, items)), gallery_scores=-distances)
    Problem(np.ones((2, items)), gallery_scores=points @ points.T)
    linked = (distances < np.median(distances)) * 1.0
    np.fill_diagonal(linked, 0)  # who is linked with whom, mostly nobody
    Problem(np.ones((2, items)), gallery_scores=linked)
