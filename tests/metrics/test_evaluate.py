from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metric_oracles import ORACLES, expected
from rerankit import ListScores, Problem, Ranking, Relevance, settings
from rerankit.errors import InputError
from rerankit.metrics import evaluate, evaluate_both

NAMES = list(ORACLES)


def made(seed: int, queries: int = 6, gallery: int = 7, levels: int = 4):
    """Scores with many ties, graded relevance (at least one a query), and items left out."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (queries, gallery)).astype(np.float32) - 1.5
    grades = rng.integers(0, 3, (queries, gallery)) * (rng.random((queries, gallery)) < 0.5)
    grades[np.arange(queries), rng.integers(0, gallery, queries)] = 2
    out = (rng.random((queries, gallery)) < 0.15) & (grades == 0)
    rows, columns = np.nonzero(grades)
    relevance = Relevance(rows, columns, grades.shape, grades[rows, columns], exclude=np.nonzero(out))
    return scores, grades.astype(float), out, relevance


def test_repr() -> None:
    result = evaluate([[0.9, 0.1], [0.2, 0.7]], [[0], [0]], ["success@1", "mrr"])
    assert repr(result) == "Evaluation(2 queries: success@1 0.5000, mrr 0.7500)"
    assert result.queries == 2
    assert list(result) == ["success@1", "mrr"]


@pytest.mark.parametrize("seed", range(4))
def test_expected_values_are_means_over_every_order_of_tied_items(seed: int) -> None:
    scores, grades, out, relevance = made(seed)
    result = evaluate(scores, relevance, NAMES)
    for name, oracle in ORACLES.items():
        wanted = [expected(oracle, scores[i], grades[i], np.flatnonzero(out[i])) for i in range(len(scores))]
        np.testing.assert_allclose(result.per_query[name], wanted, rtol=1e-12, err_msg=name)
        assert result[name] == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic", "index"])
def test_a_full_ranking_scores_what_its_matrix_scores(ties: str) -> None:
    scores, _, _, relevance = made(7)
    dense = evaluate(scores, relevance, NAMES, ties=ties)
    ranked = evaluate(Problem(scores).ranking(), relevance, NAMES, ties=ties)
    for name in NAMES:
        np.testing.assert_allclose(ranked.per_query[name], dense.per_query[name], err_msg=name)


@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic", "index"])
@pytest.mark.parametrize("depth", [1, 3, 6])
def test_a_ranking_with_its_tail_scores_what_its_matrix_scores(ties: str, depth: int) -> None:
    scores, _, _, relevance = made(8)
    # Without ties across the seam, where the list has already chosen.
    scores += np.linspace(0, 1e-3, scores.size, dtype=np.float32).reshape(scores.shape) if ties == "expected" else 0
    problem = Problem(scores)
    dense = evaluate(problem, relevance, NAMES, ties=ties if ties == "expected" else "index")
    if ties in ("optimistic", "pessimistic"):
        ties = "index"
    spliced = evaluate(problem.ranking(depth), relevance, NAMES, ties=ties, tail=problem)
    for name in NAMES:
        np.testing.assert_allclose(spliced.per_query[name], dense.per_query[name], err_msg=name)


@pytest.mark.parametrize(
    ("ties", "value"), [("expected", 0.4), ("optimistic", 1.0), ("pessimistic", 0.0), ("index", 0.5)]
)
def test_tie_rules_of_a_constant_scorer(ties: str, value: float) -> None:
    # Five items, the relevant one first in the gallery for one query and last for the other.
    assert evaluate(np.zeros((2, 5)), [[0], [4]], ["success@2"], ties=ties)["success@2"] == value


def test_a_constant_scorer_gets_chance_exactly() -> None:
    result = evaluate(np.zeros((3, 100)), [[0], [7], [99]], ["success@1", "success@10", "mean_rank", "recall@25"])
    chance = {"success@1": 0.01, "success@10": 0.1, "mean_rank": 50.5, "recall@25": 0.25}
    for name, value in chance.items():
        assert result.per_query[name].tolist() == [value] * 3
        assert result[name] == pytest.approx(value, rel=1e-15)


def test_both_directions_in_one_pass_are_the_two_directions() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(-9, 9, (700, 40)).astype(np.float32)  # more rows than a byte counts
    relevance = Relevance.from_labels(np.arange(700) % 50, np.arange(40))
    relevance = Relevance.from_lists([[i % 40, (i + 9) % 40] if i < 90 else [i % 40] for i in range(700)], 40)
    names = [*NAMES, "rsum"]
    for ties in ("expected", "optimistic", "pessimistic", "index"):
        both = evaluate_both(scores, relevance, names, ties=ties)
        forward = evaluate(scores, relevance, names, ties=ties)
        reverse = evaluate(np.ascontiguousarray(scores.T), relevance.reversed(), names, ties=ties)
        for name in names:
            np.testing.assert_allclose(both.forward.per_query[name], forward.per_query[name])
            np.testing.assert_allclose(both.reverse.per_query[name], reverse.per_query[name])
        assert both.rsum == forward["rsum"] + reverse["rsum"]


@pytest.mark.parametrize("depth", [None, 3])
def test_a_transposed_matrix_scores_what_its_copy_scores(depth: int | None) -> None:
    for seed in range(3):
        scores, _, _, relevance = made(seed, queries=9, gallery=7)
        turned, copied = (Problem(each) for each in (np.asfortranarray(scores), scores))
        assert not turned.scores.array.flags.c_contiguous  # type: ignore[attr-defined]
        for ties in ("expected", "optimistic", "index"):
            results = []
            for problem in (turned, copied):
                ranked = problem if depth is None else problem.ranking(depth)
                results.append(dict(evaluate(ranked, relevance, NAMES, ties=ties, tail=problem)))
            assert results[0] == results[1]


def test_both_directions_leave_the_same_items_out() -> None:
    scores, _, _, relevance = made(5)
    reverse = Relevance.from_lists([[0], [1], [2], [3], [4], [5], [0]], 6, exclude=[[1, 2], [], [0], [5], [], [], []])
    both = evaluate_both(scores, relevance, NAMES, reverse=reverse)
    assert dict(both.reverse) == dict(evaluate(scores.T.copy(), reverse, NAMES))


def test_one_pass_over_columns_with_several_relevant_rows() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random((300, 30), dtype=np.float32)
    relevance = Relevance.from_lists([[i % 30] for i in range(300)], 30)
    both = evaluate_both(scores, relevance, ["map", "recall@20"])
    assert both.reverse["map"] == pytest.approx(evaluate(scores.T, relevance.reversed(), ["map"])["map"])


@pytest.mark.parametrize(
    "kind", ["float16", "float64", "int", "memory map", "int map", "distances", "problem", "embeddings", "torch"]
)
def test_forms_of_scores(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    queries, gallery = rng.integers(-3, 4, (8, 4)), rng.integers(-3, 4, (9, 4))
    scores = (queries @ gallery.T).astype(np.float32)
    relevance = Relevance.from_lists([[i] for i in range(8)], 9)
    wanted = evaluate(scores, relevance, NAMES)
    np.save(tmp_path / "scores.npy", scores)
    np.save(tmp_path / "whole.npy", scores.astype(np.int16))
    np.save(tmp_path / "distances.npy", -scores)
    given = {
        "float16": lambda: scores.astype(np.float16),
        "float64": lambda: scores.astype(np.float64),
        "int": lambda: scores.astype(np.int64),
        "memory map": lambda: np.load(tmp_path / "scores.npy", mmap_mode="r"),
        "int map": lambda: np.load(tmp_path / "whole.npy", mmap_mode="r"),
        "distances": lambda: Problem.from_distances(np.load(tmp_path / "distances.npy", mmap_mode="r")),
        "problem": lambda: Problem(scores),
        "embeddings": lambda: Problem.from_embeddings(queries.astype(float), gallery.astype(float), "dot"),
        "torch": lambda: pytest.importorskip("torch").from_numpy(scores),
    }[kind]()
    result = evaluate(given, relevance, NAMES)
    assert dict(result) == dict(wanted)
    both = evaluate_both(given, relevance, NAMES, empty="skip")
    assert dict(both.forward) == dict(wanted)
    assert both.reverse.skipped == 1


def test_distances_on_disk_are_not_read_whole(tmp_path: Path) -> None:
    distances = np.random.default_rng(0).random((2_000, 2_000), np.float32)
    np.save(tmp_path / "distances.npy", distances)
    relevance = Relevance.from_lists([[i] for i in range(2_000)], 2_000)
    tracemalloc.start()
    with settings.using(memory_budget="1MB"):
        evaluate(Problem.from_distances(np.load(tmp_path / "distances.npy", mmap_mode="r")), relevance, "success@1")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < distances.nbytes / 4


def test_lists_score_what_they_hold() -> None:
    lists = ListScores([[2, 0], [1, -1]], [[0.9, 0.5], [0.4, -np.inf]], columns=3)
    result = evaluate(lists, [[0], [2]], ["success@1", "success@2", "mrr", "recall@2"])
    assert result.per_query["mrr"].tolist() == [0.5, 0.0]
    assert result["success@2"] == 0.5


def test_ranks_need_the_relevant_item_in_the_list() -> None:
    ranking = Ranking([[2, 0], [1, 0]], [[0.9, 0.5], [0.4, 0.3]], gallery_size=3)
    with pytest.raises(InputError, match=r"metric 'mean_rank' needs .* \(got 1 of 2 queries whose"):
        evaluate(ranking, [[0], [2]], ["mean_rank"])
    assert evaluate(ranking, [[0], [2]], ["mean_rank"], tail=[[1, 2, 3], [4, 5, 6]])["mean_rank"] == 2.5


def test_queries_without_a_relevant_item_follow_the_policy() -> None:
    scores, relevant = [[0.9, 0.1], [0.2, 0.7]], [[0], []]
    with pytest.raises(InputError, match=r"'relevance' must have a relevant item .* \(got 1 without, such as \[1\]\)"):
        evaluate(scores, relevant)
    with pytest.raises(
        InputError, match=r"must have a relevant item for one query at least \(got none for 2 queries\)"
    ):
        evaluate(scores, [[], []], empty="skip")
    skipped = evaluate(scores, relevant, ["success@1", "map"], empty="skip")
    assert skipped["success@1"] == 1.0
    assert skipped.skipped == 1
    assert np.isnan(skipped.per_query["map"][1])
    assert "1 skipped" in repr(skipped)
    assert evaluate(scores, relevant, ["success@1"], empty="zero")["success@1"] == 0.5
    with pytest.raises(InputError, match=r"unknown empty .* Known: error, skip, zero"):
        evaluate(scores, relevant, empty="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("form", ["matrix", "problem", "memory map", "run"])
def test_scores_that_are_not_finite_are_refused(bad: float, form: str, tmp_path: Path) -> None:
    scores = np.zeros((3, 4), np.float32)
    scores[1, 2] = bad
    np.save(tmp_path / "scores.npy", scores)
    call = {
        "run": lambda: evaluate({"q": {"a": bad}}, {"q": {"a": 1}}),
        "problem": lambda: evaluate(Problem(scores), [[0], [1], [2]]),
        "matrix": lambda: evaluate(scores, [[0], [1], [2]]),
        "memory map": lambda: evaluate(np.load(tmp_path / "scores.npy", mmap_mode="r"), [[0], [1], [2]]),
    }[form]
    with pytest.raises(InputError, match="finite"):
        call()


def test_sums_that_overflow_are_not_taken_for_infinities() -> None:
    assert evaluate(np.full((2, 4), 3e38, np.float32), [[0], [1]], ["success@1"])["success@1"] == 0.25


def test_shapes_must_agree() -> None:
    relevance = Relevance.from_lists([[0], [1]], 3)
    with pytest.raises(InputError, match=r"'relevance' must have the shape of what is evaluated, \(2, 4\)"):
        evaluate(np.zeros((2, 4)), relevance)
    with pytest.raises(InputError, match="'reverse' must have the shape"):
        evaluate_both(np.zeros((2, 3)), relevance, reverse=relevance)
    with pytest.raises(InputError, match="'tail' must be complete scores"):
        evaluate(Problem(np.zeros((2, 3))).ranking(1), relevance, tail=np.zeros((3, 3)))
    with pytest.raises(InputError, match="both directions"):
        evaluate_both(Problem(np.zeros((2, 3))).ranking(1), relevance)


def test_relevance_as_qrels_uses_the_ids() -> None:
    problem = Problem([[0.9, 0.1], [0.2, 0.7]], query_ids=["a", "b"], gallery_ids=["x", "y"])
    result = evaluate(problem, {"a": {"x": 1}, "b": {"y": 1}}, ["success@1"])
    assert result["success@1"] == 1.0
    assert result.query_ids == ("a", "b")
    with pytest.raises(InputError, match=r"'qrels' must name only known queries \(got 1 unknown, such as \['c'\]\)"):
        evaluate(problem, {"a": {"x": 1}, "b": {"y": 1}, "c": {"x": 1}})
    with pytest.raises(InputError, match=r"'qrels' must name only known gallery items \(got 1 unknown"):
        evaluate(problem, {"a": {"x": 1}, "b": {"z": 1}})


class DLPack:
    """An array of a library that NumPy does not know."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.ndim = array, array.ndim

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_relevance_as_matrices() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    grades = np.array([[1, 0], [0, 2]])
    other = DLPack(grades)  # an array of another library
    for given in (grades, grades > 0, other, sparse.csr_matrix(grades), [0, 1]):
        assert evaluate(np.eye(2), given, ["success@1"])["success@1"] == 1.0


def test_subset_success_looks_only_among_the_subset() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]], np.float32)
    relevant = Relevance.from_lists([[3], [0]], 5, exclude=[[0], [4]])
    subset = [[0, 3, 4], [0, 4]]
    names = ["success@1", "subset_success@1", "subset_success@2"]
    result = evaluate(scores, relevant, names, subset=subset)
    assert result.per_query["success@1"].tolist() == [0, 0]
    assert result.per_query["subset_success@1"].tolist() == [1, 1]  # items 0 and 4 do not take part
    ranking = Problem(scores).ranking(2)
    assert evaluate(ranking, relevant, names, subset=subset)["subset_success@1"] == 0.0
    assert evaluate(ranking, relevant, names, subset=subset, tail=scores)["subset_success@1"] == 1.0
    with pytest.raises(InputError, match=r"'subset' must hold every relevant item \(got 1 missing, .* \[1\]\)"):
        evaluate(scores, relevant, names, subset=[[0, 3], [2, 4]])
    with pytest.raises(InputError, match="'subset_success@1' needs 'subset'"):
        evaluate(scores, relevant, names)


@pytest.mark.parametrize(
    ("subset", "words"),
    [
        ([[0, 9], [1, 2]], "must lie in 0…2"),
        ([[0, -1], [1, 2]], "must lie in 0…2"),
        ([[0, 0], [1, 2]], "must name an item once for a query"),
        ([[0, 1]], "must be for 2 queries and 3 items"),
        ([["a", "b"], ["b", "c"]], "must list gallery row numbers"),
    ],
)
def test_a_subset_is_checked(subset: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"'subset.*{words}"):
        evaluate(np.eye(2, 3), [[0], [1]], ["subset_success@1"], subset=subset)


def test_a_subset_may_be_a_mask() -> None:
    scores = np.array([[0.5, 0.1, 0.9], [0.2, 0.6, 0.7]])
    mask = np.array([[True, True, False], [False, True, True]])
    found = evaluate(scores, [[0], [1]], ["subset_success@1"], subset=mask)
    assert found.per_query["subset_success@1"].tolist() == [1, 0]


def test_a_tuple_of_subsets_has_one_for_each_query() -> None:
    scores = np.array([[0.5, 0.1, 0.9], [0.2, 0.6, 0.7]])
    found, expected = (
        evaluate(scores, [[0], [1]], ["subset_success@1"], subset=given)
        for given in (([0, 1], [2, 1]), [[0, 1], [2, 1]])
    )
    assert found.per_query["subset_success@1"].tolist() == expected.per_query["subset_success@1"].tolist() == [1, 0]


def test_subset_ties_are_expected_values() -> None:
    result = evaluate(np.zeros((1, 9)), [[4]], ["subset_success@1"], subset=[[1, 4, 5, 6]])
    assert result["subset_success@1"] == 0.25


def test_a_run_in_dictionaries() -> None:
    rng = np.random.default_rng(3)
    scores, grades, _, _ = made(4)
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}
    qrels = {f"q{i}": {f"d{j}": int(g) for j, g in enumerate(row) if g} for i, row in enumerate(grades)}
    for ties in ("expected", "optimistic", "pessimistic", "index"):
        result = evaluate(run, qrels, NAMES, ties=ties)
        wanted = evaluate(scores, grades, NAMES, ties=ties)
        for name in NAMES:
            np.testing.assert_allclose(result.per_query[name], wanted.per_query[name], err_msg=name)
    assert result.query_ids == tuple(run)
    del run["q1"], run["q2"]
    with pytest.raises(
        InputError, match=r"'run' must hold every query .* \(got 2 of 6 missing, such as \['q1', 'q2'\]\)"
    ):
        evaluate(run, qrels)
    with pytest.raises(InputError, match="'relevance' must be qrels"):
        evaluate(run, [[0]])
    del rng


def test_judged_items_that_a_run_does_not_list_are_misses() -> None:
    run = {"q": {"a": 2.0, "b": 1.0}}
    result = evaluate(run, {"q": {"b": 1, "z": 1}}, ["recall@2", "map", "success@2"])
    assert dict(result) == {"recall@2": 0.5, "map": 0.25, "success@2": 1.0}


def test_evaluation_survives_json() -> None:
    import json

    from rerankit.metrics import Evaluation

    result = evaluate(np.eye(3), [[0], [], [2]], ["success@1", "map"], empty="skip")
    again = Evaluation.from_dict(json.loads(json.dumps(result.to_dict())))
    assert dict(again) == dict(result)
    assert again.skipped == 1
    np.testing.assert_array_equal(again.per_query["map"], result.per_query["map"])


def test_nothing_given_is_changed() -> None:
    scores, _, _, relevance = made(9)
    before = scores.copy()
    evaluate(scores, relevance, NAMES)
    evaluate_both(scores, relevance, NAMES, empty="skip")
    np.testing.assert_array_equal(scores, before)
    assert scores.flags.writeable


def test_both_ways_of_coco_5k_copy_nothing() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    scores = rng.random((5000, 25_000), dtype=np.float32)
    relevance = Relevance.from_labels(np.arange(5000), np.arange(25_000) // 5)
    tracemalloc.start()
    evaluate_both(scores, relevance)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_numbers_and_texts_that_say_the_same_are_one_name() -> None:
    run, qrels = {1: {10: 0.9, 11: 0.5}, 2: {12: 0.3}}, {"1": {"11": 1.0}, "2": {"12": 1.0, "99": 1.0}}
    for ranked in (run, Problem(run), Problem(run).ranking()):
        assert evaluate(ranked, qrels, "mrr")["mrr"] == pytest.approx((1 / 2 + 1) / 2)
    texts = {str(query): {str(item): score for item, score in items.items()} for query, items in run.items()}
    numbers = {int(query): {int(item): grade for item, grade in items.items()} for query, items in qrels.items()}
    assert evaluate(texts, numbers, "mrr").per_query["mrr"].tolist() == [0.5, 1.0]
    with pytest.raises(
        InputError, match=r"'run' must hold every query of the qrels \(got 1 of 1 missing, such as \['3'"
    ):
        evaluate(run, {"3": {"10": 1.0}}, "mrr")


def test_lists_of_relevance_name_gallery_rows() -> None:
    scores = [[0.1, 0.2], [0.3, 0.1]]
    assert evaluate(scores, [{0}, {1}], "mrr")["mrr"] == 0.5
    for given in ([[True, False], [False, True]], [[1.0, 0.0], [0.0, 1.0]], [["a"], ["b"]]):
        with pytest.raises(InputError, match="must list gallery rows of each query; a matrix of grades is an array"):
            evaluate(scores, given, "mrr")
    with pytest.raises(InputError, match="'relevance' must be an array of numbers"):
        evaluate(scores, [{0: 1}, {1: 1}], "mrr")
