"""Data frames of pandas: matrices keep their labels, long frames are runs, and what may be either is refused."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Bank, ListScores, Problem, Relevance
from rerankit.errors import InputError

pd = pytest.importorskip("pandas")

RUN = {"q1": {"a": 0.9, "b": 0.4}, "q2": {"c": 0.8}}


def long(query="query", item="item", value="score", **more):
    return pd.DataFrame({query: ["q1", "q1", "q2"], item: ["b", "a", "c"], value: [0.4, 0.9, 0.8], **more})


def test_a_labelled_frame_keeps_its_labels():
    frame = pd.DataFrame([[0.1, 0.9], [0.8, 0.3]], index=["cat", "dog"], columns=[7, 8])
    problem = Problem(frame)
    assert (problem.query_ids.tolist(), problem.gallery_ids.tolist()) == (["cat", "dog"], [7, 8])
    np.testing.assert_array_equal(problem.scores.rows(), frame.to_numpy(np.float32))
    assert rerankit.rerank(frame, "mutual-rank").query_ids.tolist() == ["cat", "dog"]


def test_given_ids_order_labels_and_name_rows_without():
    frame = pd.DataFrame([[0.1, 0.9], [0.8, 0.3]], index=["cat", "dog"])
    problem = Problem(frame, query_ids=["dog", "cat"], gallery_ids=["x", "y"])
    assert problem.scores.rows().tolist() == np.float32([[0.8, 0.3], [0.1, 0.9]]).tolist()
    assert problem.gallery_ids.tolist() == ["x", "y"]
    with pytest.raises(InputError, match=r"'rows of scores' must name only known ids \(got 1 of 2 unknown"):
        Problem(frame, query_ids=["dog", "cow"])


def test_a_frame_that_only_counts_has_no_ids():
    problem = Problem(pd.DataFrame(np.eye(5)))
    assert problem.query_ids is None
    assert problem.gallery_ids is None


@pytest.mark.parametrize(
    ("query", "item"),
    [("query", "item"), ("qid", "docno"), ("qid", "pid"), ("query_id", "doc_id"), ("q_id", "doc_id"),
     ("query-id", "corpus-id")],
)  # fmt: skip
def test_a_long_frame_is_a_run(query, item):
    problem = Problem(long(query, item, rank=[2, 1, 1]))
    assert isinstance(problem.scores, ListScores)
    assert problem.ranking().to_dict() == RUN
    first = rerankit.rerank(long(query, item), "mutual-rank", k=1)
    assert first.gallery_ids[first.indices].tolist() == [["a"], ["c"]]


def test_other_columns_are_left_alone_and_pyterrier_has_a_text_of_its_own():
    frame = long("qid", "docno", docid=[1, 0, 2], rank=[1, 0, 0]).assign(query=["one", "one", "two"])
    assert Problem(frame).ranking().to_dict() == RUN


def test_only_ranks_are_an_order():
    frame = long().drop(columns="score").assign(rank=[2, 1, 1])
    assert Problem(frame).ranking().to_dict() == {"q1": {"a": -1, "b": -2}, "q2": {"c": -1}}
    best = Problem(frame.assign(rank=[1, 0, 0])).ranking().scores[0, 0]
    assert not np.signbit(best)  # 0, and not -0.0


def test_numbers_stay_numbers_and_the_index_may_be_query_and_item():
    frame = pd.DataFrame({"qid": [7, 7], "docno": [10, 9], "score": [0.5, 0.6]})
    assert Problem(frame).ranking().to_dict() == {7: {9: 0.6, 10: 0.5}}
    assert Problem(frame.set_index(["qid", "docno"])).ranking().to_dict() == {7: {9: 0.6, 10: 0.5}}


def test_a_long_frame_that_is_not_named_is_no_matrix():
    frame = pd.DataFrame({"user": np.repeat(range(20), 3), "film": list(range(3)) * 20, "stars": np.arange(60.0)})
    for given in (frame, frame.sample(frac=0.5, random_state=0), frame.set_axis(range(3), axis=1)):
        with pytest.raises(InputError, match="may be lines of query, item and score, or a matrix: name its columns"):
            Problem(given)
    assert Problem(frame.to_numpy()).shape == (60, 3)
    with pytest.raises(InputError, match="must be a query and an item, by one of these pairs"):
        Problem(frame.rename(columns={"user": "query"}))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (lambda: long(value="distance"), r"'distance' is lower for better items, .* give a column score = -distance"),
        (lambda: long().drop(columns="score"), "must have a column score, rank or grade"),
        (lambda: long(grade=[1, 2, 3]), "must be one column, score or grade"),
        (lambda: long(value="grade"), r"'scores' must be a run, with a column score \(got judgements"),
        (lambda: long(docno=["x"] * 3, qid=["y"] * 3), "must be a query and an item, by one of these pairs"),
        (lambda: long().assign(item=[None, "a", "b"]), r"'scores\['item'\]' must be texts or whole numbers"),
        (lambda: long().assign(score=[np.nan, 1, 2]), r"'scores\['score'\]' must be finite in every row"),
        (lambda: long().assign(item="a"), "must list an item once"),
        (lambda: long().iloc[:0], "'scores' must have at least one line"),
        (lambda: pd.DataFrame({"x": ["a"], "y": ["b"]}), "'scores' must be a table of numbers"),
        (
            lambda: long().pivot(index="query", columns="item", values="score"),
            "must have a score in every cell; where pairs are absent, give lines",
        ),
    ],
)
def test_what_is_wrong_is_said(frame, words):
    with pytest.raises(InputError, match=words):
        Problem(frame())


def test_missing_values_of_pandas_own_types():
    frame = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [1.0, 2.0], "c": [1, 2], "d": [0, 1], "e": [1, 1]})
    with pytest.raises(InputError, match="must have a score in every cell"):
        Problem(frame)
    assert Problem(frame.fillna(5)).scores.rows()[1, 0] == 5


def test_frames_in_both_places_of_evaluate():
    qrels = pd.DataFrame({"query": ["q1", "q2", "q2"], "item": ["a", "x", "c"], "relevance": [1, 1, -1]})
    figures = rerankit.evaluate(long(), qrels, ["success@1", "recall@10"])
    assert (figures["success@1"], figures["recall@10"]) == (0.5, 0.5)
    ranking = Problem(long()).ranking()
    assert rerankit.evaluate(ranking, qrels, ["success@1", "recall@10"]).figures == figures.figures
    assert rerankit.evaluate(Problem(long()), qrels, ["success@1", "recall@10"]).figures == figures.figures
    with pytest.raises(InputError, match=r"'relevance' must be judgements, with a column grade \(got a run"):
        rerankit.evaluate(long(), long())
    with pytest.raises(InputError, match=r"'qrels' must name only known gallery items \(got 3 unknown"):
        rerankit.evaluate(ranking, qrels.assign(item=[1, 2, 3]))


def test_qrels_of_beir_and_ranx_by_the_place_where_they_stand():
    beir = pd.DataFrame({"query-id": ["q1", "q2"], "corpus-id": ["a", "x"], "score": [1, 1]})
    assert rerankit.evaluate(RUN, beir, ["success@1"])["success@1"] == 0.5
    judged = Relevance.from_dict(beir, ["q1", "q2"], ["a", "b", "c", "x"])
    assert judged.indices.tolist() == [0, 3]


def test_relations_and_further_scores_come_to_the_order_of_the_ids():
    frame = pd.DataFrame([[1, 2], [3, 4]], index=["q", "r"], columns=["a", "b"]) / 8
    among = pd.DataFrame([[1, 0.5], [0.25, 1]], index=["b", "a"], columns=["b", "a"])
    problem = Problem(frame, gallery_scores=among, extra_scores={"other": frame.loc[::-1, ::-1]})
    assert problem.gallery_scores.rows().tolist() == [[1, 0.25], [0.5, 1]]
    np.testing.assert_array_equal(problem.extra_scores["other"].rows(), problem.scores.rows())
    lists = problem.with_extra_scores({"run": {"r": {"a": 0.5}}}).extra_scores["run"]
    assert lists.pairs([1], [0]).tolist() == [0.5]
    with pytest.raises(InputError, match="must have no names where the problem has no ids"):
        Problem(np.eye(2), extra_scores={"other": frame})
    with pytest.raises(InputError, match="'to_gallery' must be numbers without names here"):
        Bank(to_gallery=frame)


def test_vectors_with_labels():
    frame = pd.DataFrame(np.eye(3), index=["a", "b", "c"])
    problem = Problem.from_embeddings(frame, frame.to_numpy())
    assert problem.query_ids.tolist() == ["a", "b", "c"]
    assert problem.gallery_ids is None
    column = pd.Series([[1.0, 0.0], [0.0, 1.0]])
    assert Problem.from_embeddings(column, column.map(np.array)).scores.rows().tolist() == [[1, 0], [0, 1]]


def test_a_gallery_of_vectors_with_labels():
    frame = pd.DataFrame(np.eye(3), index=["a", "b", "c"])
    gallery = rerankit.Gallery(frame)
    assert gallery.ids.tolist() == ["a", "b", "c"]
    assert gallery.problem([0, 0, 1]).ranking(1).to_dict() == {0: {"c": 1.0}}


def test_frames_that_only_count_are_arrays_everywhere():
    frame = pd.DataFrame(np.eye(3))
    bank = Bank(to_gallery=frame)
    np.testing.assert_array_equal(bank.to_gallery.rows(), np.eye(3))
    problem = Problem(frame, query_bank=bank, gallery_features={"v": frame, "n": frame[0]})
    np.testing.assert_array_equal(problem.gallery_features["v"], np.eye(3))
    assert problem.gallery_features["n"].shape == (3,)
    np.testing.assert_array_equal(Problem.from_distances(frame).scores.rows(), -np.eye(3))
    assert Relevance.from_dense(frame).indices.tolist() == [0, 1, 2]


def test_a_choice_of_rows_or_columns_keeps_their_numbers():
    whole = pd.DataFrame(np.arange(20.0).reshape(4, 5))
    for frame, rows, columns in (
        (whole.iloc[::2], [0, 2], None),
        (whole.iloc[::-1], [3, 2, 1, 0], None),
        (whole.iloc[1:3], [1, 2], None),
        (whole.iloc[:, ::-1], None, [4, 3, 2, 1, 0]),
    ):
        problem = Problem(frame)
        found = [None if ids is None else ids.tolist() for ids in (problem.query_ids, problem.gallery_ids)]
        assert found == [rows, columns]


def test_scores_that_rise_with_the_ranks_are_distances():
    far = pd.DataFrame({"qid": ["a", "a", "b"], "docno": ["x", "y", "x"], "score": [0.1, 0.7, 0.2], "rank": [0, 1, 0]})
    with pytest.raises(
        InputError, match=r"'scores': scores must fall where ranks rise, .*negate them, or leave the ra"
    ):
        Problem(far)
    with pytest.raises(InputError, match="scores must fall where ranks rise"):
        rerankit.evaluate(far, {"a": {"x": 1}, "b": {"x": 1}}, "mrr")
    Problem(far.assign(score=-far["score"]))
    Problem(far.assign(rank=0))  # ranks that tell nothing
    Problem(far.assign(rank=["first", "second", "first"]))
    mixed = pd.concat([far, pd.DataFrame({"qid": "c", "docno": ["x", "y"], "score": [0.9, 0.8], "rank": [0, 1]})])
    assert Problem(mixed).ranking().to_dict()["a"] == {"y": 0.7, "x": 0.1}  # the scores decide


def test_complex_scores_are_refused():
    with pytest.raises(InputError, match=r"'scores\['score'\]' must be numbers \(got dtype complex128\)"):
        Problem(pd.DataFrame({"query": ["a", "a"], "item": ["x", "y"], "score": [1j, 2]}))


def test_lines_indexed_by_their_query_are_a_run_and_a_pivot_is_a_matrix():
    frame = long("qid", "docno")
    assert Problem(frame.set_index("qid")).ranking().to_dict() == RUN
    square = frame[frame.qid == "q1"].pivot(index="qid", columns="docno", values="score")
    assert Problem(square).gallery_ids.tolist() == ["a", "b"]


def test_relevance_is_a_frame_with_the_names_of_the_scores():
    scores = pd.DataFrame([[0.1, 0.9], [0.8, 0.3]], index=["cat", "dog"], columns=[7, 8])
    right = pd.DataFrame([[1, 0], [0, 1]], index=["dog", "cat"], columns=["7", "8"])
    assert rerankit.evaluate(scores, right, ["mrr"])["mrr"] == 1
    assert rerankit.evaluate(scores.to_numpy(), pd.DataFrame(np.eye(2)), ["mrr"])["mrr"] == 0.5
    with pytest.raises(InputError, match="'relevance' must have no names where the problem has no ids"):
        rerankit.evaluate(scores.to_numpy(), right, ["mrr"])
    with pytest.raises(InputError, match="'grades' must be numbers without names here"):
        Relevance.from_dense(right)
