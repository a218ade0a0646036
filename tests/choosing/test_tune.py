from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Pipeline, Problem, Relevance, evaluate, rerank, stage, tune
from rerankit.errors import InputError


def pairs(size: int, seed: int, hubs: float = 1.0) -> tuple[Problem, Relevance]:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(size, size)) + hubs * random.normal(size=size) + 3 * np.eye(size)
    return Problem(scores), Relevance.from_dense(np.eye(size))


def test_the_mean_over_problems_decides_and_every_figure_is_that_of_evaluate():
    problems = [pairs(50, 0), pairs(70, 1, hubs=2)]
    space = {"csls.neighbours": [1, 10], "mutual-rank.weight": [0.1, 1.0]}
    tuned = tune(["csls", "mutual-rank", "sinkhorn"], space, [one for one, _ in problems], [one for _, one in problems])
    assert [each.values for each in tuned.tried] == [
        {"csls.neighbours": 1},
        {"csls.neighbours": 10},
        {"mutual-rank.weight": 0.1},
        {"mutual-rank.weight": 1.0},
        {},
    ]
    for each in tuned.tried:
        for (problem, right), figure in zip(problems, each.figures, strict=True):
            assert figure == evaluate(rerank(problem, each.pipeline, k=100), right, ["success@1"])["success@1"]
    best = max(tuned.tried, key=lambda each: np.mean(each.figures))
    assert tuned.stages == best.pipeline.stages
    assert rerank(problems[0][0], tuned, k=5) == rerank(problems[0][0], best.pipeline, k=5)


def test_lower_is_better_for_ranks_and_random_trials_are_the_same_by_seed():
    problem, right = pairs(60, 3)
    pipeline = stage("csls") >> "mutual-rank"
    space = {"csls.neighbours": [1, 3, 10], "1.weight": [0.1, 0.5, 1.0]}
    one, other = (tune(pipeline, space, problem, right, metric="mean_rank", trials=4, seed=2) for _ in range(2))
    assert len(one.tried) == 4
    assert [each.values for each in one.tried] == [each.values for each in other.tried]
    assert one.stages == min(one.tried, key=lambda each: each.figure).pipeline.stages


def test_the_table_has_the_best_first():
    problem, right = pairs(60, 3)
    tuned = tune("csls", {"neighbours": [1, 10]}, [problem, problem.reversed()], [right, right.reversed()])
    assert str(tuned).splitlines()[2].startswith(repr(tuned.stages[0]))
    assert "problem 2" in str(tuned)
    assert "<table" in tuned._repr_html_()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"space": {}}, "'space' must name parameters"),
        ({"space": {"neighbours": 3}}, "'space' must name parameters with a list of at least one value each"),
        ({"space": {"neighbours": "10"}}, "'space' must name parameters with a list of at least one value each"),
        ({"space": {"sinkhorn.beta": [1]}}, "'space' must name stages of the pipelines: csls"),
        ({"pipelines": []}, "'pipelines' must hold one"),
        ({"relevance": [1]}, "'problem' must be a list of 1 problems"),
        ({"relevance": np.eye(9)}, "'relevance' must be a rerankit.Relevance"),
        ({"relevance": Relevance.from_dense(np.eye(9))}, r"'relevance' must be of the shape \(20, 20\)"),
        ({"pipelines": "k-reciprocal", "space": {"k1": [3]}}, "needs gallery_scores|needs query_scores"),
        ({"k": 0}, "'k'"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(changed, said):
    problem, right = pairs(20, 0)
    given = {"pipelines": "csls", "space": {"neighbours": [1]}, "problem": problem, "relevance": right, **changed}
    with pytest.raises(InputError, match=said):
        rerankit.tune(**given)


def test_a_pipeline_that_is_tuned_is_a_pipeline(tmp_path):
    problem, right = pairs(30, 0)
    tuned = tune(stage("csls"), {"neighbours": [3]}, problem, right)
    tuned.save(tmp_path / "tuned")
    assert rerankit.load(tmp_path / "tuned").stages == Pipeline([stage("csls", neighbours=3)]).stages
