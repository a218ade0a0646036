from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Looks, Problem, Relevance, stage
from rerankit.errors import InputError, UnknownNameError, UnmetNeedError
from rerankit.stages.fusion.learners import fit_list_wise, fit_trees, predicted, tree_arrays
from rerankit.stages.fusion.opinions import OPINIONS, columns
from rerankit.stages.hubness.spread import spread
from strategies import distinct, full_problem

pytest.importorskip("sklearn")


def noisy(size: int = 60, seed: int = 0) -> tuple[Problem, Relevance]:
    """Queries of which each has one right item, and some items that are near to all queries."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(size, size)) + 2 * np.eye(size) + random.normal(size=size)
    return Problem(scores / 5), Relevance.from_dense(np.eye(size))


def hits(ranking: rerankit.Ranking) -> float:
    return float(np.mean(ranking.indices[:, 0] == np.arange(len(ranking))))


def test_repr():
    assert repr(stage("learned-fusion", model="trees")) == "stage('learned-fusion', model='trees')"


@pytest.mark.parametrize("model", ["list-wise", "logistic", "trees"])
def test_learns_what_helps(model, tmp_path):
    problem, relevance = noisy()
    fitted = stage("learned-fusion", model=model).fit(problem, relevance)
    unseen, _ = noisy(seed=1)
    result = rerankit.rerank(unseen, fitted)
    assert hits(result) > hits(unseen.ranking()) + 0.1
    fitted.save(tmp_path / "stage")
    assert sorted(path.name for path in (tmp_path / "stage").iterdir()) == ["config.json", "weights.safetensors"]
    assert rerankit.rerank(unseen, rerankit.load(tmp_path / "stage")) == result


@pytest.mark.parametrize("params", [{"model": "list-wise"}, {"model": "logistic"}, {"model": "trees", "trees": 5}])
def test_learning_again_gives_the_same_weights(params):
    one, again = (stage("learned-fusion", **params).fit(*noisy(30)) for _ in range(2))
    assert one == again
    assert one != stage("learned-fusion", **params).fit(*noisy(30, seed=1))


def test_trees_as_arrays_equal_scikit_learn():
    from sklearn.tree import DecisionTreeRegressor

    random = np.random.default_rng(0)
    samples = random.normal(size=(2000, 5)).astype(np.float32)
    targets = samples[:, 0] * samples[:, 1] + 0.3 * random.normal(size=2000)
    models = [DecisionTreeRegressor(max_leaf_nodes=n, random_state=0).fit(samples, targets) for n in (2, 9, 40)]
    unseen = random.normal(size=(300, 7, 5)).astype(np.float32)
    expected = 1 + sum(model.predict(unseen.reshape(-1, 5)) for model in models).reshape(300, 7)
    arrays = tree_arrays([(model.tree_, model.tree_.value[:, 0, 0]) for model in models])
    np.testing.assert_allclose(predicted({**arrays, "baseline": np.ones(1)}, unseen), expected, atol=1e-5)


@pytest.mark.parametrize("seen", [20_000, 500])
def test_boosted_trees_are_as_good_as_those_of_scikit_learn(seen, monkeypatch):
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.metrics import log_loss

    monkeypatch.setattr("rerankit.stages.fusion.learners._SEEN", seen)
    random = np.random.default_rng(0)

    def drawn(count):
        columns = random.normal(size=(count, 1, 3)).astype(np.float32)
        return columns, columns[..., 0] * columns[..., 1] + 0.3 * random.normal(size=(count, 1)) > 0.4

    columns, right = drawn(2000)
    unseen, wanted = drawn(2000)
    own = predicted(fit_trees(columns, right, np.ones_like(right), 100), unseen)[:, 0]
    theirs = GradientBoostingClassifier(learning_rate=0.06, max_leaf_nodes=15, max_depth=None, random_state=0)
    theirs.fit(columns[:, 0], right[:, 0])
    losses = [log_loss(wanted[:, 0], 1 / (1 + np.exp(-z))) for z in (own, theirs.decision_function(unseen[:, 0]))]
    assert losses[0] < losses[1] + 0.02


def test_logistic_equals_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    problem, relevance = noisy(30)
    fitted = stage("learned-fusion", model="logistic", candidates=30, opinions=("score", "rank")).fit(
        problem, relevance
    )
    ranking = problem.ranking()
    values = columns(("score", "rank"), problem, ranking, None, 20.0).reshape(-1, 2)
    right = relevance.to_dense()[np.arange(30)[:, None], ranking.indices].reshape(-1) > 0
    scaler = StandardScaler().fit(values.astype(np.float64))
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(values), right)
    expected = model.decision_function(scaler.transform(values)).reshape(30, 30)
    np.testing.assert_allclose(fitted.rescore(problem, ranking), expected, atol=1e-3)


def test_the_list_wise_minimum_is_a_minimum():
    random = np.random.default_rng(0)
    values = random.normal(size=(40, 6, 3)).astype(np.float32)
    right = np.zeros((40, 6), bool)
    right[np.arange(40), (values @ np.float32([2, -1, 0]) + random.normal(size=(40, 6))).argmax(axis=1)] = True
    right[:, 0] |= random.random(40) < 0.3
    weights = fit_list_wise(values, right, np.ones((40, 6), bool), 1.0)

    def loss(coefficients):
        total = 0.5 * coefficients @ coefficients
        for row, wanted in zip((values - weights["mean"]) / weights["scale"], right, strict=True):
            powers = np.exp(row @ coefficients)
            total -= np.log(powers[wanted].sum() / powers.sum())
        return total

    best = loss(weights["coefficients"])
    for axis in np.concatenate([np.eye(3), -np.eye(3)]):
        assert loss(weights["coefficients"] + 0.05 * axis) > best


@pytest.mark.parametrize("name", OPINIONS)
def test_every_opinion_is_a_finite_column(name):
    problem = full_problem()
    found = columns((name,), problem, problem.ranking(5), problem.scores, 2.0)
    assert found.shape == (6, 5, 1)
    assert np.isfinite(found).all()


def test_opinions_mean_what_they_say():
    problem = Problem(distinct(4, 5))
    scores, ranking = problem.scores.rows(), problem.ranking()
    apart, usual = spread(problem.scores), scores.mean()
    names = ("score", "margin", "rank", "back-rank", "back-margin", "incoming")
    found = columns(names, problem, ranking, problem.scores, 2.0)
    for query, row in enumerate(ranking.indices):
        for place, item in enumerate(row):
            score = scores[query, item]
            expected = [
                (score - usual) / apart,
                (score - scores[query].max()) / apart,
                -np.log(place + 1),
                -np.log(1 + sum(scores[:, item] > score)),
                (score - scores[:, item].max()) / apart,
                (score - scores[query].max()) / apart,
            ]
            np.testing.assert_allclose(found[query, place], expected, atol=1e-5)


@pytest.mark.parametrize(("times", "plus"), [(0.01, 0.0), (100.0, -3.0)])
def test_a_fitted_fusion_serves_scores_of_another_scale(times, plus):
    problem, relevance = noisy(60)
    fitted = stage("learned-fusion").fit(problem, relevance)
    other = Problem(problem.scores.rows() * np.float32(times) + np.float32(plus))
    found, expected = (rerankit.rerank(given, fitted, k=20) for given in (other, problem))
    assert np.mean(found.indices == expected.indices) > 0.99
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-2)


def test_excluded_items_teach_nothing():
    problem, _ = noisy(20)
    right = Relevance.from_lists([[query] for query in range(20)], 20)
    first = [[int(item) for item in row if item != query][:1] for query, row in enumerate(problem.ranking().indices)]
    without = Relevance.from_lists([[query] for query in range(20)], 20, exclude=first)
    assert stage("learned-fusion").fit(problem, right) != stage("learned-fusion").fit(problem, without)


def test_looks_needs_and_errors():
    with_bank = Problem([[1, 2]], query_bank=Bank(to_gallery=[[1, 2]]))
    assert stage("learned-fusion").looks_at(Problem([[1, 2]])) == Looks(queries=True)
    assert stage("learned-fusion").looks_at(with_bank) == Looks(bank=True)
    assert stage("learned-fusion", opinions=["score", "rank"]).looks_at(with_bank) == Looks()
    assert stage("learned-fusion", opinions=["query-votes"]).looks_at(with_bank) == Looks(queries=True, bank=True)
    problem, right = noisy(20)
    assert stage("learned-fusion", opinions=["score"]).fit(problem, right).looks_at(with_bank) == Looks(labels=True)
    with pytest.raises(UnmetNeedError, match="weights"):
        rerankit.rerank([[1, 2]], "learned-fusion")
    with pytest.raises(UnknownNameError, match="did you mean 'margin'"):
        stage("learned-fusion", opinions=["margins"])
    with pytest.raises(InputError, match="'opinions' must be a list of names"):
        stage("learned-fusion", opinions="score")
    with pytest.raises(InputError, match="some candidates right and some wrong"):
        stage("learned-fusion").fit(Problem([[1, 2]]), Relevance.from_lists([[]], 2))
    for name in ("learned-fusion", "calibrate"):
        with pytest.raises(InputError, match=r"'relevance' must be a rerankit.Relevance, .* \(got list\)"):
            stage(name).fit(Problem([[1, 2]]), [[0]])
    with pytest.raises(InputError, match="must have the problem's shape"):
        stage("learned-fusion").fit(Problem([[1, 2]]), Relevance.from_lists([[0]], 3))
