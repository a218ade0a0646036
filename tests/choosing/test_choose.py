"""`choose`: what gains significantly on labels, on halves of pairs, or by agreement; otherwise nothing."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Looks, Pipeline, Problem, Relevance, choose, stage
from rerankit.choosing.trials import Halves
from rerankit.errors import InputError
from rerankit.metrics import evaluate
from rerankit.pipelines.needs import Need, Unmet
from rerankit.statistics import improvements, randomisation
from rerankit.things import parted_things, things_of


def hubby(size: int = 150, seed: int = 0, signal: float = 4) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(size, size)) + 1.5 * random.normal(size=size) + signal * np.eye(size)


def one_to_one(size: int) -> Relevance:
    return Relevance.from_dense(np.eye(size))


def test_figures_are_those_of_evaluate():
    problem, right = Problem(hubby()), one_to_one(150)
    chosen = choose(problem, right, among=["nnn", "sinkhorn"])
    for tried in chosen.tried:
        after, before = (
            100 * evaluate(ranking, right, ["success@1"])["success@1"]
            for ranking in (rerankit.rerank(problem, tried.pipeline), problem.ranking(100))
        )
        assert tried.figure == pytest.approx(after)
        assert tried.gain == pytest.approx(after - before)
        assert tried.low < tried.gain < tried.high
    assert chosen == Pipeline([max(chosen.tried, key=lambda each: each.gain).pipeline])
    assert "chosen" in chosen.table()
    assert chosen.reason in str(chosen)
    assert "<table" in chosen._repr_html_()


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_chosen_where_there_is_nothing_to_gain(seed):
    scores = np.random.default_rng(seed).normal(size=(120, 120))
    chosen = choose(scores, one_to_one(120), among=["nnn", "csls", "sinkhorn", "mutual-rank"])
    assert chosen.stages == ()
    assert chosen.reason.startswith("left alone")


def test_a_stage_that_harms_is_not_chosen():
    class Worse(rerankit.Stage):
        name = "worse"

        def rescore(self, problem, ranking):
            return -ranking.scores

    chosen = choose(hubby(), one_to_one(150), among=[Worse()])
    assert chosen.stages == ()
    assert chosen.tried[0].gain < -20


class Gaining(rerankit.Stage):
    """Puts the right item first for the given queries, and changes nothing for the others."""

    name = "gaining"

    def __init__(self, queries=()):
        self.queries = list(queries)

    def rescore(self, problem, ranking):
        scores = ranking.scores.copy()
        for query in self.queries:
            scores[query, ranking.indices[query] == query] = 100
        return scores


def test_the_first_is_taken_that_none_gains_significantly_more_than():
    scores, right = np.random.default_rng(0).normal(size=(150, 150)), one_to_one(150)
    much, little_more, little = Gaining(range(60)), Gaining(range(62)), Gaining(range(10))
    first = choose(scores, right, among=[much, little_more])
    assert first.stages == (much,)
    assert "nothing gains surely more, gaining +" in first.reason
    assert choose(scores, right, among=[little_more, much]).stages == (little_more,)
    most = choose(scores, right, among=[little, much])
    assert most.stages == (much,)
    assert most.reason.endswith("it gains the most")


def test_without_labels_the_first_is_taken_that_gains():
    scores = hubby()
    for names in (["nnn", "sinkhorn"], ["sinkhorn", "nnn"]):
        assert choose(scores, among=names).stages == (stage(names[0]),)


def test_by_labels_the_level_is_lower(monkeypatch):
    scores = hubby()
    right = Relevance.from_dense(np.eye(len(scores)))
    monkeypatch.setattr("rerankit.choosing.decision.improvements", lambda base, several, groups: [0.03] * len(several))
    for given, significance, expected in (
        ((scores, right), None, []),
        ((scores, right), 0.05, ["nnn"]),
        ((scores,), None, ["nnn"]),
        ((scores,), 0.01, []),
    ):
        found = choose(*given, among=["nnn"], significance=significance)
        assert [one.name for one in found.stages] == expected, (len(given), significance)


def test_halves_use_the_other_half_as_the_bank():
    problem, right = Problem(hubby(80)), one_to_one(80)
    trial = Halves(problem, right, "success@1", 50)
    assert trial.problem.shape == (40, 40)
    assert trial.problem.query_bank.to_gallery.shape == (40, 40)
    chosen = choose(problem, bank=(problem, right), among=["inverted-softmax", "mutual-rank"], test_queries=False)
    assert all(tried.looks_at == Looks(bank=True) for tried in chosen.tried)
    assert chosen.stages


def test_the_bank_of_a_half_has_nothing_right_in_what_is_searched():
    scores, right = hubby(60), Relevance.from_lists([[q, (q + 1) % 60] for q in range(60)], 60)  # a ring
    for tested, taught in Halves(Problem(scores), right, "success@1", 10)._parts:
        assert len(right.subset(taught[0], tested[1]).indices) == 0
        assert len(right.subset(tested[0], tested[1]).indices) > 0


def test_chains_are_cut_and_what_lies_across_belongs_to_none():
    right = Relevance.from_lists([[q, q + 1] for q in range(79)], 80)
    assert things_of(right).number == 1
    parts = parted_things(right, 8)
    assert parts.number == 10
    for query, part in enumerate(parts.queries):
        of_items = set(parts.items[right.of(query).items].tolist())
        assert of_items == {part} if part >= 0 else len(of_items) > 1


def test_what_cannot_run_or_learn_is_said():
    chosen = choose(hubby(), one_to_one(150), among=["dba", "sinkhorn"], test_queries=False)
    assert dict(chosen.left_out) == {
        "dba": str(Unmet(stage("dba"), Need.of("gallery_scores"))),
        "sinkhorn": "looks at the other test queries",
    }
    assert chosen.reason == "left alone: nothing could be tried"
    spent = choose(hubby(), one_to_one(150), among=["nnn", "sinkhorn"], budget=1e-9)
    assert len(spent.left_out) == 2


def test_a_stage_that_learns_is_measured_on_what_it_has_not_seen_and_fitted_on_all():
    problem, right = Problem(hubby(160, signal=3)), one_to_one(160)
    chosen = choose(problem, right, among=["learned-fusion"])
    assert chosen.stages[0].fitted
    assert chosen.stages[0] == stage("learned-fusion").fit(problem, right)
    assert chosen.tried[0].pipeline == chosen


def test_pairs_may_be_a_list_of_rows():
    chosen = choose(hubby(60), bank=(hubby(60, seed=1).tolist(), one_to_one(60)), among=["nnn"])
    assert [each.pipeline for each in chosen.tried] == [Pipeline(["nnn"])]


def test_no_order_no_scale_and_no_shift_changes_the_choice_without_labels():
    scores, random = hubby(), np.random.default_rng(1)
    expected = choose(scores, among=["nnn", "sinkhorn"])
    rows, columns = random.permutation(150), random.permutation(150)
    for other in (scores[rows][:, columns], 0.01 * scores, scores + 7):
        found = choose(other, among=["nnn", "sinkhorn"])
        assert found == expected
        assert [each.gain for each in found.tried] == pytest.approx([each.gain for each in expected.tried], abs=0.5)


def test_improvements_of_one_system_are_half_the_two_sided_test():
    random = np.random.default_rng(0)
    base, other = random.normal(size=80), random.normal(0.25, 1, size=80)
    p = randomisation(base, other)
    assert improvements(base, [other])[0] == pytest.approx(p / 2, abs=0.01)
    twice = improvements(base, [other, other])
    assert twice[0] == twice[1] == pytest.approx(p / 2, abs=0.01)  # the same twice costs nothing
    assert improvements(base, [other, base - 1])[1] == 1.0


def test_improvements_hold_their_level():
    random = np.random.default_rng(0)
    found = [
        improvements(np.zeros(40), random.normal(size=(6, 40)), samples=400, seed=seed).min() for seed in range(200)
    ]
    assert np.mean(np.array(found) < 0.05) < 0.09


def test_bad_arguments():
    scores, right = hubby(40), one_to_one(40)
    with pytest.raises(InputError, match="'relevance' and 'bank' exclude each other"):
        choose(scores, right, bank=(Problem(scores), right))
    with pytest.raises(InputError, match="'relevance' must be of the problem's shape"):
        choose(scores, one_to_one(30))
    with pytest.raises(InputError, match="'bank' must be a pair of a problem and its relevance"):
        choose(scores, bank=right)
    with pytest.raises(InputError, match="'metric' must be one where higher is better"):
        choose(scores, right, metric="mean_rank")
    with pytest.raises(InputError, match="'budget' must be a finite number"):
        choose(scores, right, budget=np.nan)
    with pytest.raises(InputError, match="'test_queries' must be true or false"):
        choose(scores, right, test_queries="no")
    with pytest.raises(InputError, match="'among' must be a list"):
        choose(scores, right, among="nnn")
    with pytest.raises(InputError, match="'among' must hold one pipeline or more"):
        choose(scores, right, among=[])
    with pytest.raises(InputError, match="labelled pairs of 8 different things"):
        choose(scores, bank=(Problem(scores[:3, :3]), one_to_one(3)))
    with pytest.raises(InputError, match="needs a matrix or embeddings"):
        choose(Problem.from_rankings([[0, 1]], [[1.0, 0.5]], 3))
