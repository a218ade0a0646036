"""What a result keeps for its report: ranks, hubs, the queries that moved, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem, stage
from rerankit.bench import Result, bench
from rerankit.bench.batches import Batches, _batches
from rerankit.bench.examples import moved
from rerankit.errors import InputError
from rerankit.metrics import hubness
from rerankit.tasks import Benchmark, task


@pytest.fixture
def small(tmp_path: Path) -> Benchmark:
    return task("flickr30k").write_miniature(tmp_path / "data").load(tmp_path / "data")


@pytest.fixture
def scores(small: Benchmark) -> np.ndarray:
    return np.random.default_rng(0).random(small.matrices["scores"].shape, dtype=np.float32)


def test_ranks_and_hubs_before_and_after(small: Benchmark, scores: np.ndarray) -> None:
    (result,) = bench(small, scores, "mutual-rank", k=5)
    for part, own in zip(result.parts, small.parts, strict=True):
        problem = small.problem(own, Problem(scores))
        after = stage("mutual-rank").rerank(problem, problem.ranking(5))
        wanted = [
            min(row.tolist().index(item) for item in own.relevance.of(query).items) + 1
            for query, row in enumerate(problem.ranking().indices)
        ]
        assert part.first.ranks.tolist() == wanted
        assert part.hubness.counts == hubness(problem.ranking(5)).counts
        assert part.stages[0].hubness.counts == hubness(after).counts


def test_examples_show_who_moved(small: Benchmark, scores: np.ndarray) -> None:
    (result,) = bench(small, scores, stage("csls", published=True), k=5)
    part, own = result.part("text-to-image"), small.parts[1]
    problem = small.problem(own, Problem(scores))
    after = stage("csls", published=True).rerank(problem, problem.ranking(5))
    assert part.examples
    for example in part.examples:
        assert example.ranks == (part.first.ranks[example.row], part.last.ranks[example.row])
        assert example.ranks[0] != example.ranks[1]
        assert [each.row for each in example.after] == after.indices[example.row].tolist()
        right = own.relevance.of(example.row).items
        assert [each.right for each in example.before] == [each.row in right for each in example.before]
        assert example.query.text == small.matrices["scores"].gallery_features["text"][example.row]


def test_moved_counts_what_was_not_listed_as_infinitely_far() -> None:
    before, after = np.array([np.nan, 3.0, 1.0, 2.0]), np.array([2.0, np.nan, 1.0, 1.0])
    assert moved(before, after).tolist() == [0, 3, 1]


def test_batches_of_every_size_answer_the_same_queries(small: Benchmark, scores: np.ndarray, tmp_path: Path) -> None:
    plan = {"k": 5, "out": tmp_path / "results", "batch_sizes": [1, 4, 4, 100]}
    result, other = bench(small, scores, {"all": "mutual-rank", "alone": stage("fuse")}, **plan)
    part = result.part("text-to-image")
    assert [size for size, _ in part.batches.sizes] == [1, 4]
    assert sorted(part.batches.queries) == list(range(21))
    own = small.parts[1]
    problem = small.problem(own, Problem(scores))
    singles = [problem.subset([q]).ranking(5) for q in part.batches.queries]  # one alone keeps its order
    hits = [own.relevance.of(q).items[0] == r.indices[0, 0] for q, r in zip(part.batches.queries, singles, strict=True)]
    assert part.batches.sizes[0][1].per_query["success@1"].tolist() == hits
    assert all(each.batches is None for each in other.parts)
    again = Result.read(next((tmp_path / "results").glob("*__all__*.json")))
    assert again.to_dict() == result.to_dict()
    assert isinstance(again.parts[1].batches, Batches)
    with pytest.raises(InputError, match="'batch_sizes' must be at least 1"):
        bench(small, scores, "mutual-rank", batch_sizes=[0])


@pytest.mark.parametrize(("count", "size"), [(10, 3), (10, 10), (7, 1), (256, 100), (12, 5)])
def test_batches_are_full_and_each_query_counts_once(count: int, size: int) -> None:
    order = np.random.default_rng(0).permutation(max(count, 12) if size < 100 else 1000)
    seen = []
    for rows, places in _batches(order, count, size):
        assert len(rows) == size
        seen += rows[places].tolist()
    assert seen == order[:count].tolist()


def test_results_of_version_2_stay_readable(small: Benchmark, scores: np.ndarray) -> None:
    (result,) = bench(small, scores, "mutual-rank", k=5)
    data = result.to_dict()
    data["version"] = 2
    for part in data["parts"]:
        for name in ("hubness", "examples", "batches"):
            part.pop(name)
        for row in part["stages"]:
            row.pop("hubness")
            row["evaluation"].pop("ranks")
        for name in ("first", "ceiling"):
            part[name].pop("ranks")
    old = Result.from_dict(data)
    assert old.parts[0].hubness is None
    assert old.parts[0].examples == ()
    assert old.parts[0].first.ranks is None
    assert old.summary == result.summary
