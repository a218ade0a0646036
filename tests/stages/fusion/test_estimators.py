from __future__ import annotations

import pickle

import numpy as np
import pytest

from rerankit import Pipeline, Problem, Relevance, choose, rerank, stage
from rerankit.errors import InputError, UnknownNameError
from rerankit.pipelines.yaml_files import to_yaml

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


class Watched(ClassifierMixin, BaseEstimator):
    """A classifier by its first column that keeps what `fit` was given."""

    def fit(self, X, y, sample_weight=None):  # the names of scikit-learn
        self.given_, self.classes_ = (X, y, sample_weight), np.unique(y)
        return self

    def decision_function(self, X):
        return X[:, 0]


class Unweighted(Watched):
    def fit(self, X, y):
        return super().fit(X, y)


def noisy(size: int = 50, seed: int = 0) -> tuple[Problem, Relevance]:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(size, size)) + 2 * np.eye(size) + random.normal(size=size)
    return Problem(scores / 5), Relevance.from_dense(np.eye(size))


def test_the_built_in_logistic_model_as_an_estimator_gives_the_same_scores():
    problem, relevance = noisy()
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    unseen, _ = noisy(seed=1)
    found, expected = (
        rerank(unseen, stage("learned-fusion", model=model).fit(problem, relevance), k=20)
        for model in (estimator, "logistic")
    )
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_the_sigmoid_of_calibrate_as_an_estimator_gives_the_same_probabilities():
    problem, relevance = noisy()
    found, expected = (
        rerank(problem, stage("calibrate", method=method).fit(problem, relevance), k=20)
        for method in (make_pipeline(StandardScaler(), LogisticRegression(C=1e4)), "platt")
    )
    np.testing.assert_array_equal(found.indices, problem.ranking(20).indices)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


def test_probabilities_become_log_odds_in_their_order():
    problem, relevance = noisy()
    forest = RandomForestClassifier(20, min_samples_leaf=5, random_state=0)
    fitted = stage("learned-fusion", opinions=["score", "rank"], model=forest).fit(problem, relevance)
    taught = fitted.get_weights()["estimator"].item().estimator
    first = problem.ranking(5)
    columns = fitted._columns(problem, first).reshape(-1, 2)
    odds = np.exp(fitted.rescore(problem, first).astype(np.float64)).reshape(-1)
    np.testing.assert_allclose(odds / (1 + odds), taught.predict_proba(columns)[:, 1], atol=1e-5)


def test_a_clone_learns_and_every_query_counts_the_same():
    problem, relevance = noisy(20)
    few = [list(range(10, 18)) if query < 8 else [] for query in range(20)]
    relevance = Relevance.from_lists([[query] for query in range(20)], 20, exclude=few)
    watched = Watched()
    fitted = stage("learned-fusion", opinions=["score"], model=watched, candidates=20).fit(problem, relevance)
    samples, right, weights = fitted.get_weights()["estimator"].item().estimator.given_
    assert not hasattr(watched, "given_")
    assert len(samples) == len(right) == 8 * 12 + 12 * 20
    assert right.sum() == 20
    sizes = [12] * 8 + [20] * 12
    sums = [part.sum() for part in np.split(weights, np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(sums, np.mean(sizes))
    unweighted = stage("learned-fusion", opinions=["score"], model=Unweighted()).fit(problem, relevance)
    assert unweighted.get_weights()["estimator"].item().estimator.given_[2] is None


def test_equal_stages_and_what_a_choice_does_with_one():
    problem, relevance = noisy(30)
    one, other = (stage("learned-fusion", model=LogisticRegression(C=c)).fit(problem, relevance) for c in (1.0, 2.0))
    assert pickle.loads(pickle.dumps(one)) == one == one.clone() != other
    assert one == stage("learned-fusion", model=LogisticRegression()).fit(problem, relevance)
    assert one != stage("learned-fusion", model=LogisticRegression()).fit(*noisy(30, seed=1))
    chosen = choose(*noisy(80), among=[stage("learned-fusion", model=LogisticRegression())])
    assert chosen.stages in [(), (stage("learned-fusion", model=LogisticRegression()).fit(*noisy(80)),)]


@pytest.mark.parametrize("behind", [False, True])
def test_nothing_is_saved(tmp_path, behind):
    problem, relevance = noisy(30)
    fitted = stage("calibrate", method=LogisticRegression()).fit(problem, relevance)
    what = stage("csls") >> fitted if behind else fitted
    with pytest.raises(
        InputError, match=r"parameter 'method' cannot be saved \(got LogisticRegression\): an estimator .*pickle"
    ):
        what.save(tmp_path / "stage")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="YAML does not hold"):
        to_yaml(Pipeline([what]))


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        (
            "learned-fusion",
            {"model": LogisticRegression},
            "'model' must be one of list-wise, logistic, trees, or an est",
        ),
        ("learned-fusion", {"model": 3}, r"'model' must be one of .* \(got 3\)"),
        ("learned-fusion", {"model": LinearRegression()}, "with decision_function or predict_proba"),
        ("calibrate", {"method": LinearSVC()}, r"'method' must be an estimator with predict_proba \(got LinearSVC"),
        ("calibrate", {"method": IsotonicRegression()}, "with predict_proba"),
    ],
)
def test_what_is_no_classifier_is_refused(name, params, said):
    with pytest.raises(InputError, match=said):
        stage(name, **params)
    with pytest.raises(UnknownNameError, match="did you mean"):
        stage(name, **{next(iter(params)): "tre" if name == "learned-fusion" else "plat"})
