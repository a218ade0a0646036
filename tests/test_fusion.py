from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import rerankit
from rerankit import Bank, Looks, Problem, builtins, fuse, fusion, rerank, stage
from rerankit.errors import InputError, UnknownNameError, UnmetNeedError
from strategies import matrices

NAN = np.nan
METHODS = list(builtins.FUSION_RULES)
VALUES = np.float32([[[4, 2, NAN, 3]], [[1, 5, 3, NAN]]])


@pytest.mark.parametrize(
    ("normalise", "expected"),
    [
        ("none", [4, 2, NAN, 3]),
        ("min-max", [1, 0, NAN, 0.5]),
        ("z-score", [1.2247, -1.2247, NAN, 0]),
        ("rank", [1, 1 / 3, NAN, 2 / 3]),
        ("softmax", [0.6652, 0.0900, NAN, 0.2447]),
    ],
)
def test_normalisations(normalise, expected):
    np.testing.assert_allclose(fusion.NORMALISATIONS[normalise](VALUES[0])[0], expected, atol=1e-4)


@pytest.mark.parametrize("normalise", fusion.NORMALISATIONS)
def test_constant_scores_are_finite(normalise):
    assert np.isfinite(fusion.NORMALISATIONS[normalise](np.ones((2, 3), np.float32))).all()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("sum", [1, 2, 0.5, 0.5]),  # weights 1 and 2 on min-max
        ("combmnz", [2, 4, 0.5, 0.5]),
        ("rrf", [1 / 61 + 2 / 63, 1 / 63 + 2 / 61, 2 / 62, 1 / 62]),
        ("borda", [3 + 2 * 1, 1 + 2 * 3, 0 + 2 * 2, 2 + 2 * 0]),
    ],
)
def test_methods(method, expected):
    found = fusion.combine(VALUES, method, "min-max", [1, 2])
    if method in ("sum", "combmnz"):
        second = np.float32([0, 1, 0.5, NAN]) * 2
        first = np.float32([1, 0, NAN, 0.5])
        expected = np.nansum([first, second], axis=0) * ([2, 2, 1, 1] if method == "combmnz" else 1)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_fusing_rankings_pools_their_items():
    one = Problem([[9, 8, 0, 0]]).ranking(2)
    two = Problem([[0, 8, 0, 9]]).ranking(2)
    fused = fuse([one, two], method="rrf")
    assert fused.indices.tolist() == [[0, 3, 1]] or fused.indices.tolist() == [[1, 0, 3]]
    assert fused.indices[0, 0] == 1
    assert fuse([one, two], method="rrf", k=1).indices.tolist() == [[1]]


def test_fusing_ragged_rankings_pads():
    one = Problem.from_rankings([[0, -1], [1, 2]], [[1, 0], [2, 1]], 4).ranking(2)
    assert fuse([one, one]).indices.tolist() == [[0, -1], [1, 2]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalise", fusion.NORMALISATIONS)
def test_a_query_that_a_source_knows_nothing_of(method, normalise):
    nothing = rerankit.Ranking([[-1, -1], [1, 0]], [[-np.inf, -np.inf], [2, 1]], gallery_size=3)
    other = rerankit.Ranking([[2, 0], [1, 0]], [[2, 1], [2, 1]], gallery_size=3)
    assert fuse([nothing, other], method=method, normalise=normalise).indices.tolist() == [[2, 0], [1, 0]]


def test_weights_are_one_each_unless_given():
    values = np.float32([[[3, 1]], [[2, 4]]])
    assert np.array_equal(fusion.combine(values), fusion.combine(values, weights=[1, 1]))


@pytest.mark.parametrize("method", METHODS)
def test_other_queries_change_no_fused_score(method):
    # Query 1 has more candidates, which makes the table wider; a source without weight has items of its own.
    one = rerankit.Ranking([[0, 1, 2, -1], [0, 1, 2, 3]], [[4, 3, 2, -np.inf], [4, 3, 2, 1]], gallery_size=9)
    two = rerankit.Ranking([[0, 3, -1, -1], [5, 6, 7, 8]], [[2, 1, -np.inf, -np.inf], [4, 3, 2, 1]], gallery_size=9)
    three = rerankit.Ranking([[4, -1, -1, -1], [4, 3, 2, 1]], [[1, *[-np.inf] * 3], [4, 3, 2, 1]], gallery_size=9)
    sources = [one, two, three]
    together = fuse(sources, method=method, weights=[1, 3, 0]).take([0]).to_dict()
    alone = fuse([source.take([0]) for source in sources], method=method, weights=[1, 3, 0]).to_dict()
    assert together == alone


@given(matrices())
def test_a_single_source_keeps_its_order(scores):
    ranking = Problem(scores).ranking()
    for method in METHODS:
        found = fuse([ranking], method=method, k=None)
        places = np.take_along_axis(scores, found.indices, axis=1)
        assert (np.diff(places) <= 0).all()


def test_the_stage_reads_rankings_scores_features_and_stages():
    scores = np.float32([[3, 2, 1], [1, 2, 3]])
    other = np.float32([[0, 0, 9], [0, 9, 0]])
    problem = Problem(scores, extra_scores={"other": other})
    assert rerank(problem, "fuse", sources=["other"]).indices[:, 0].tolist() == [2, 1]
    mutual = stage("mutual-rank")
    assert np.array_equal(
        rerank(problem, "fuse", sources=[mutual], normalise="none").indices, rerank(problem, mutual).indices
    )
    both = rerank(problem, "fuse", sources=["scores", "other", mutual], weights=[1, 10, 0])
    assert both.indices[:, 0].tolist() == [2, 1]
    assert rerank(problem, "fuse", sources=["ranking"]).indices.tolist() == problem.ranking().indices.tolist()


def naive_fuse(opinions: list[dict[int, float]], method: str, normalise: str, weights: list[float]) -> dict[int, float]:
    """One query's fused scores {item: score} from opinions {item: score}, in plain loops."""
    total: dict[int, float] = {}
    for weight, opinion in zip(weights, opinions, strict=True):
        ordered = sorted(opinion, key=lambda item: -opinion[item])
        low, high = min(opinion.values()), max(opinion.values())
        mean = sum(opinion.values()) / len(opinion)
        spread = (sum((value - mean) ** 2 for value in opinion.values()) / len(opinion)) ** 0.5
        for item, value in opinion.items():
            place = 1 + ordered.index(item)
            if method == "rrf":
                worth = 1 / (60 + place)
            elif method == "isr":
                worth = len(opinions) / place**2
            elif method == "borda":
                worth = len(opinion) - place
            elif normalise == "min-max":
                worth = (value - low) / (high - low)
            elif normalise == "z-score":
                worth = (value - mean) / spread
            else:
                worth = value
            total[item] = total.get(item, 0.0) + weight * worth
    return total


@pytest.mark.parametrize("method", ["sum", "rrf", "isr", "borda"])
@pytest.mark.parametrize("normalise", ["min-max", "z-score", "none"])
def test_stages_as_sources_equal_loops(method, normalise):
    """Each source is run by itself on the same candidates; what it gives each of them is fused query by query."""
    random = np.random.default_rng(5)
    problem = Problem(random.normal(size=(7, 12)), extra_scores={"other": random.normal(size=(7, 12))})
    ranking = problem.ranking(8).with_scores(random.permuted(np.tile(np.arange(8.0), (7, 1)), axis=1))
    stages = [stage("nnn"), stage("mutual-rank").top(5), stage("csls") >> stage("sinkhorn")]
    weights = [0.5, 1.0, 2.0, 0.25, 1.5]
    fused = stage("fuse", sources=[stages[0], "ranking", stages[1], "other", stages[2]], method=method,
                  normalise=normalise, weights=weights)  # fmt: skip
    found = fused.rerank(problem, ranking)
    answers = [one.rerank(problem, ranking).to_dict() for one in stages]
    other = problem.extra_scores["other"].rows()
    for query, items in enumerate(ranking.indices.tolist()):
        came = dict(zip(items, ranking.scores[query].tolist(), strict=True))
        theirs = {item: float(other[query, item]) for item in items}
        opinions = [answers[0][query], came, answers[1][query], theirs, answers[2][query]]
        expected = naive_fuse(opinions, method, normalise, weights)
        np.testing.assert_allclose(
            [found.to_dict()[query][item] for item in items], [expected[item] for item in items], rtol=2e-5, atol=2e-5
        )


def test_the_stage_says_what_it_misses():
    with pytest.raises(rerankit.errors.UnmetNeedError, match=r"needs extra_scores:clip: give Problem"):
        rerank([[1, 2]], "fuse", sources=["clip"])
    meant = rerankit.stage("fuse", sources=["scores", "csls"])
    with pytest.raises(
        rerankit.errors.UnmetNeedError, match=r"needs extra_scores:csls: give .*; or the stage itself, stage\('csls'\)$"
    ):
        rerankit.rerank([[0.9, 0.1]], meant)
    assert "or the stage itself" not in str(rerankit.stage("fuse", sources=["clip"]).unmet(Problem([[1, 2]]))[0])


def test_it_looks_at_what_its_sources_look_at():
    with_bank = Problem([[1, 2]], query_bank=Bank(to_gallery=[[1, 2]]))
    both = stage("fuse", sources=["scores", stage("mutual-rank"), stage("nnn", bank="queries")])
    assert stage("fuse").looks_at() == Looks()
    assert both.looks_at() == Looks(queries=True)
    assert both.looks_at(with_bank) == both.top(5).looks_at(with_bank) == Looks(queries=True, bank=True)
    assert stage("fuse", sources=[stage("nnn")]).looks_at(with_bank) == Looks(bank=True)


def test_bad_input():
    with pytest.raises(UnknownNameError, match="unknown method 'rff'; did you mean 'rrf'"):
        stage("fuse", method="rff")
    with pytest.raises(InputError, match=r"'weights' must be one for each of the 2 sources \(got 1 weights\)"):
        stage("fuse", weights=[1])
    with pytest.raises(InputError, match="'sources' must be a list"):
        stage("fuse", sources="scores")
    with pytest.raises(InputError, match="'sources' must hold at least one"):
        fuse([])
    with pytest.raises(InputError, match="'sources' must have the same queries and gallery"):
        fuse([[[1, 2]], [[1, 2, 3]]])


def test_rankings_of_other_items_are_not_fused():
    one, two = (Problem([[1, 2]], gallery_ids=ids).ranking() for ids in (["a", "b"], ["b", "a"]))
    with pytest.raises(InputError, match="'sources' must have the same gallery_ids"):
        fuse([one, two])


def test_an_item_a_source_lacks_does_not_beat_the_ones_it_has():
    one = Problem.from_rankings([[0, 1]], [[-1, -2]], 3).ranking()
    two = Problem.from_rankings([[0, 2]], [[-1, -2]], 3).ranking()
    for method in ("sum", "combmnz"):
        for normalise in ("none", "z-score", "min-max"):
            assert fuse([one, two], method="sum", normalise=normalise).indices[0, 0] == 0, (method, normalise)


def test_bad_sources():
    with pytest.raises(InputError, match="'sources' must hold"):
        stage("fuse", sources=[3])
    with pytest.raises(
        UnmetNeedError, match=r"needs extra_scores:other: give Problem\(…, extra_scores=\{'other': …\}\)"
    ):
        rerank(np.eye(2), "fuse", sources=["other"])


def test_runs_by_name_are_no_list_of_sources():
    with pytest.raises(
        InputError, match=r"'sources' must be a list of rankings, problems, matrices or runs \(got dict"
    ):
        fuse({"words": {"q": {"a": 1.0}}, "pictures": {"q": {"a": 1.0}}})


def test_runs_are_fused_by_their_names():
    one, two = {"q": {"a": 0.4, "b": 0.2}}, {"q": {"b": 0.4, "c": 0.2}, "r": {"a": 1}}
    found = fuse([one, two], method="rrf").to_dict()
    expected = {"b": 1 / 62 + 1 / 61, "a": 1 / 61, "c": 1 / 62}
    assert found["q"] == pytest.approx(expected, rel=1e-5)
    assert list(found["r"]) == ["a"]
