from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rerankit
from rerankit import DenseScores, Problem, Ranking
from rerankit.errors import InputError
from rerankit.scores.topk import order
from rerankit.seams import promote, splice
from strategies import matrices


def example() -> Ranking:
    return Ranking([[2, 0], [1, -1]], [[0.9, 0.5], [0.7, -np.inf]], query_ids=["a", "b"], gallery_ids=["x", "y", "z"])


def test_repr():
    assert repr(example()) == "Ranking(2 queries × 2 of 3 items)\n  a: z (0.9), x (0.5)\n  b: y (0.7)"
    long = Ranking(np.arange(9)[None].repeat(5, 0), -np.arange(9.0)[None].repeat(5, 0))
    assert repr(long).splitlines()[1] == "  0: 0 (-0), 1 (-1), 2 (-2), 3 (-3), 4 (-4), …"
    assert repr(long).splitlines()[-1] == "  …"


def test_forms():
    ranking = example()
    assert ranking.to_dict() == {"a": {"z": 0.9, "x": 0.5}, "b": {"y": 0.7}}
    assert ranking.to_dense(fill=0).tolist() == np.float32([[0.5, 0, 0.9], [0, 0.7, 0]]).tolist()
    assert ranking.top(1).indices.tolist() == [[2], [1]]
    assert ranking.take([1]).to_dict() == {"b": {"y": 0.7}}
    assert ranking.mask.tolist() == [[True, True], [True, False]]


def test_equality_looks_at_items_scores_and_ids_but_not_at_notes():
    assert example() == example().with_notes(seconds=3)
    assert hash(example()) == hash(example())
    assert hash(Ranking([[0]], [[0.0]])) == hash(Ranking([[0]], [[-0.0]]))  # which are equal
    assert example() != example().top(1)
    assert example() != Ranking(example().indices, example().scores)
    assert example() != "something else"


def test_it_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        example().indices[0, 0] = 1


def test_with_scores_reorders_and_keeps_padding_last():
    changed = example().with_scores([[1, 2], [3, 99]])
    assert changed.indices.tolist() == [[0, 2], [1, -1]]
    assert changed.scores.tolist() == [[2, 1], [3, -np.inf]]


@pytest.mark.parametrize(
    ("indices", "scores", "message"),
    [
        (
            [[0, 0]],
            [[2, 1]],
            r"must not list .*\(got 1 repeated \(row, item\), such as \[\(0, 0\)\]\)",
        ),
        ([[0, 1]], [[1, 2]], r"'scores' must not increase along a row \(got 1.0 before 2.0 in row 0\)"),
        ([[-1, 0]], [[-np.inf, 0]], r"'indices' must have their padding \(−1\) at the end"),
        ([[0, -1]], [[1, 0]], r"'scores' must be −inf where 'indices' are −1"),
        ([[0, 1]], [[np.nan, 1]], r"'scores' must be finite"),
        ([[0, 9]], [[2, 1]], r"'indices' must lie in 0…4"),
        ([[0, 1]], [[2]], r"'scores' must have the shape of 'indices'"),
    ],
)
def test_bad_rankings(indices, scores, message):
    with pytest.raises(InputError, match=message):
        Ranking(indices, scores, gallery_size=5)


@given(matrices(rows=3, columns=8), matrices(rows=3, columns=8))
def test_the_seam_loses_nothing_and_never_rises(first, second):
    whole = Ranking(*DenseScores(first).topk(first.shape[1]), gallery_size=first.shape[1])
    depth = min(second.shape[1], first.shape[1])
    new = np.resize(second, (len(first), depth))
    joined = splice(whole.top(depth).with_scores(new), whole)
    assert np.array_equal(np.sort(joined.indices), np.sort(whole.indices))
    assert np.array_equal(joined.indices[:, depth:], whole.indices[:, depth:])
    assert (np.diff(joined.scores) <= 0).all()


def test_the_seam_shifts_the_tail_only_when_it_must():
    whole = Ranking([[0, 1, 2]], [[9, 8, 7]])
    assert splice(Ranking([[1, 0]], [[20, 10]], gallery_size=3), whole).scores.tolist() == [[20, 10, 7]]
    shifted = splice(Ranking([[1, 0]], [[1, 0.5]], gallery_size=3), whole).scores[0]
    assert shifted[2] < 0.5
    assert shifted[2] == pytest.approx(0.5)


@given(matrices(rows=3, columns=8), st.floats(-(2.0**90), 2.0**90, width=32), st.integers(0, 12))
def test_the_seam_neither_makes_nor_breaks_ties(scores, top, exponent):
    small = (scores * np.float32(10.0**-exponent)).astype(np.float32)  # so close that a shift rounds them together
    whole = Ranking(*DenseScores(small).topk(small.shape[1]), gallery_size=small.shape[1])
    head = whole.top(1)
    joined = splice(head.with_scores(np.full(head.shape, top, np.float32)), whole)
    tail = slice(1, None)
    tied = np.diff(whole.scores[:, tail]) == 0
    assert np.array_equal(np.diff(joined.scores[:, tail]) == 0, tied)
    assert (joined.scores[:, :1] > joined.scores[:, 1:]).all()


def test_a_shifted_tail_keeps_its_order_in_a_file(tmp_path):
    whole = Ranking([[0, 2, 1]], [[9, 2e-8, 1e-8]], gallery_size=3)
    joined = splice(Ranking([[0]], [[-100]], gallery_size=3), whole)
    assert rerankit.read(rerankit.write(tmp_path / "a.run", joined)).indices.tolist() == [[0, 2, 1]]


def test_the_seam_has_no_infinite_scores():
    lowest = np.finfo(np.float32).min
    joined = splice(Ranking([[0]], [[lowest]], gallery_size=3), Ranking([[0, 1, 2]], [[9, 8, 7]]))
    assert joined.scores.tolist() == [[lowest] * 3]


def test_the_seam_keeps_padding():
    whole = Ranking([[0, 1, -1]], [[9, 8, -np.inf]], gallery_size=3)
    joined = splice(Ranking([[0]], [[0.1]], gallery_size=3), whole)
    assert joined.indices.tolist() == [[0, 1, -1]]
    assert np.isneginf(joined.scores[0, 2])


def test_pickling_gives_an_equal_immutable_ranking():
    ranking = Ranking([[2, 0]], [[0.9, 0.5]], gallery_size=3, notes={"a": 1})
    again = pickle.loads(pickle.dumps(ranking))
    assert again == ranking
    assert again.notes == {"a": 1}
    with pytest.raises(ValueError, match="read-only"):
        again.scores[0, 0] = 1.0


def test_the_callers_arrays_stay_the_callers():
    indices, scores = np.array([[1, 0]]), np.float32([[2, 1]])
    ranking = Ranking(indices, scores)
    indices[0], scores[0] = [0, 1], [9, 8]
    assert ranking.to_dict() == {0: {1: 2.0, 0: 1.0}}


@given(matrices(rows=3, columns=8), st.data(), st.sampled_from([1e-6, 1, 1e6]))
def test_what_is_not_scored_goes_behind_by_the_same_seam_rule(scores, data, size):
    small = (scores * np.float32(1e-4)).astype(np.float32)  # so close that a shift rounds them together
    whole = Ranking(*DenseScores(small).topk(small.shape[1]), gallery_size=small.shape[1])
    known = np.array([[data.draw(st.booleans()) for _ in row] for row in scores])
    new = np.float32(size) * np.cos(whole.indices).astype(np.float32)
    made = promote(whole, np.where(known, new, np.float32(np.nan)))
    for row, there in enumerate(known):
        first = sorted((-new[row, place], whole.indices[row, place]) for place in np.flatnonzero(there))
        assert made.indices[row].tolist() == [item for _, item in first] + whole.indices[row, ~there].tolist()
        count = len(first)
        assert made.scores[row, :count].tolist() == [-score for score, _ in first]
        assert not (made.scores[row, count:] >= made.scores[row, :count, None]).any()
        tied = np.diff(whole.scores[row, ~there]) == 0
        assert np.array_equal(np.diff(made.scores[row, count:]) == 0, tied)


def test_equal_scores_keep_the_order_in_which_candidates_came():
    came = Ranking([[7, 2, 9, 4, -1]], [[5, 4, 3, 3, -np.inf]])
    found = came.with_scores([[1, 1, 2, 1, 9]])
    assert found.indices.tolist() == [[9, 7, 2, 4, -1]]
    one, less = np.float32(1), np.nextafter(np.float32(1), np.float32(0))
    expected = [2, one, less, np.nextafter(less, np.float32(0)), -np.inf]
    assert found.scores.tolist() == [np.float32(expected).tolist()]
    # What came with equal scores stays tied.
    assert came.with_scores([[0, 0, 1, 1, 0]]).scores[0, :2].tolist() == [1, 1]
    assert came.with_scores([[0, 0, 1, 1, 0]]).indices.tolist() == [[9, 4, 7, 2, -1]]


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 3e38, -3.4028235e38, 1e-45])
def test_parted_scores_fall_at_every_level(level):
    width = 300
    came = Ranking(np.arange(width)[None, ::-1], np.arange(width)[None, ::-1])
    found = came.with_scores(np.full((1, width), level))
    assert np.array_equal(found.indices, came.indices)
    assert np.isfinite(found.scores).all()
    if level > -3e38:
        assert (np.diff(found.scores) < 0).all()
    assert found.scores[0, 0] == np.float32(level)


def test_new_scores_against_a_naive_loop():
    random = np.random.default_rng(3)
    for _ in range(50):
        width = int(random.integers(1, 9))
        old = -np.sort(-random.integers(0, 4, width)).astype(np.float32)
        new = random.integers(0, 3, width).astype(np.float32)
        came = Ranking(random.permutation(20)[None, :width], old[None])
        order = sorted(range(width), key=lambda place: (-new[place], place))
        scores = [new[order[0]]]
        for before, after in itertools.pairwise(order):
            apart = new[after] < new[before] or old[after] < old[before]
            least = np.nextafter(scores[-1], np.float32(-np.inf)) if apart else scores[-1]
            scores.append(min(new[after], least))
        found = came.with_scores(new[None])
        assert found.indices[0].tolist() == came.indices[0][order].tolist()
        assert found.scores[0].tolist() == [float(score) for score in scores]


def test_permuting_the_gallery_changes_no_order_that_ranks_make():
    random = np.random.default_rng(0)
    scores = random.standard_normal((12, 30))
    places = random.permutation(30)
    expected = rerankit.rerank(scores, "mutual-rank", k=10)
    found = rerankit.rerank(scores[:, places], "mutual-rank", k=10)
    assert np.array_equal(places[found.indices], expected.indices)
    assert np.array_equal(found.scores, expected.scores)
    assert (np.diff(expected.scores) < 0).all()


def test_what_is_read_back_has_the_same_order(tmp_path):
    scores = np.random.default_rng(1).standard_normal((6, 20))
    made = rerankit.rerank(scores, "mutual-rank", k=8)
    for name in ("run.run", "run.json", "run.npz"):
        read = rerankit.read(rerankit.write(tmp_path / name, made), gallery_ids=np.arange(20), query_ids=np.arange(6))
        assert np.array_equal(read.indices, made.indices)


def test_keep():
    ranking = Ranking([[7, 2, 9], [1, 4, -1]], [[5, 4, 3], [2, 1, -np.inf]], query_ids=["a", "b"])
    kept = ranking.keep([[False, True, True], [False, False, True]])
    assert kept == Ranking([[2, 9], [-1, -1]], [[4, 3], [-np.inf] * 2], gallery_size=10, query_ids=["a", "b"])
    with pytest.raises(InputError, match=r"'candidates' must have the ranking's shape \(2, 3\) \(got shape \(1,\)\)"):
        ranking.keep([True])


def test_merge():
    one = Ranking([[7, 2], [1, -1]], [[5, 4], [2, -np.inf]], gallery_size=10).with_notes(a=1, b=[1])
    two = Ranking([[9, 0], [3, 0]], [[4, 4], [3, 1]], gallery_size=10).with_notes(a=2, b=[1])
    merged = Ranking.merge([one, two])
    assert merged.indices.tolist() == [[7, 0, 2, 9], [3, 1, 0, -1]]
    assert merged.scores[0].tolist() == [5, 4, 4, 4]
    assert merged.notes == {"b": [1]}
    assert Ranking.merge([one, two], k=2) == merged.top(2)
    scores = np.random.default_rng(0).standard_normal((5, 40)).astype(np.float32)
    whole = rerankit.Problem(scores).ranking(7)
    halves = [rerankit.Problem(half).ranking(7) for half in (scores[:, :20], scores[:, 20:])]
    shards = [Ranking(h.indices + 20 * n, h.scores, gallery_size=40) for n, h in enumerate(halves)]
    assert Ranking.merge(shards, k=7) == whole


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], r"'parts' must be a list of at least one Ranking \(got \[\]\)"),
        (Ranking([[0]], [[1]]), "'parts' must be a list"),
        ([Ranking([[0]], [[1]]), Ranking([[0]], [[1]])], r"must not list an item twice in a row"),
        ([Ranking([[0]], [[1]]), Ranking([[1]], [[1]])], r"'parts' must have the same gallery_size \(got \[1, 2\]\)"),
        (
            [Ranking([[1]], [[1]]), Ranking([[0], [1]], [[1], [1]])],
            r"'parts' must have the same queries \(got \[1, 2\]\)",
        ),
        ([Ranking([[0]], [[1]], gallery_ids=["a"]), Ranking([[0]], [[1]])], "must have the same gallery_ids"),
    ],
)
def test_what_merge_refuses(parts, message):
    with pytest.raises(InputError, match=message):
        Ranking.merge(parts)


def test_concat():
    one = Ranking([[7, 2]], [[5, 4]], gallery_size=10, query_ids=["a"])
    two = Ranking([[9], [3]], [[4], [3]], gallery_size=10, query_ids=["b", "c"])
    joined = Ranking.concat([one, two])
    assert joined.indices.tolist() == [[7, 2], [9, -1], [3, -1]]
    assert joined.query_ids.tolist() == ["a", "b", "c"]
    assert joined.take([0]) == one
    with pytest.raises(InputError, match=r"'parts' must all have query_ids or none \(got 1 of 2 that have\)"):
        Ranking.concat([one, Ranking([[1]], [[1]], gallery_size=10)])
    with pytest.raises(InputError, match="'query_ids' must be unique"):
        Ranking.concat([one, one])


def test_numbers_of_items_that_a_key_has_no_room_for_are_refused() -> None:
    most = 2**32 - 2
    found = Ranking.ordered(np.array([[3, most]]), np.float32([[1, 2]]), gallery_size=2**32 - 1)
    assert found.indices.tolist() == [[most, 3]]
    for number in (2**32 - 1, 2**32, 2**32 + 3, 2**40):
        for make in (
            lambda n: Ranking([[n]], [[1.0]]),
            lambda n: Ranking.ordered(np.array([[n, 0]]), np.float32([[1, 2]]), gallery_size=n + 1),
            lambda n: Problem.from_rankings([[n]], [[1.0]], n + 1),
            lambda n: order(np.float32([[1]]), np.array([[n]])),
        ):
            with pytest.raises(InputError, match=r"must be (below|at most) 4294967295"):
                make(number)
