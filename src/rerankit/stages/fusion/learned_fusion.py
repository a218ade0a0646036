"""learned-fusion: a small model weighs what scores and neighbourhoods say about each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.errors import InputError
from rerankit.looks import Looks
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.trainable import Learning, Trainable
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.runs import on_engine
from rerankit.stages.banks import BankStage, check_bank
from rerankit.stages.fusion.estimators import estimated_scores, fit_estimator, model_or_estimator, weights_by_query
from rerankit.stages.fusion.learners import fit_list_wise, fit_logistic, fit_trees, judged, labels, predicted
from rerankit.stages.fusion.opinions import OPINIONS, columns
from rerankit.stages.hubness.stage import Beta, check_beta

MODELS = ("list-wise", "logistic", "trees")
DEFAULT = ("score", "margin", "rank", "back-rank", "hubness", "level", "back-margin", "balance")


class LearnedFusion(BankStage, Trainable):
    """Learn from labelled queries how much each opinion on a candidate counts.

    `opinions` names the opinions: the ``score``, its ``margin`` to the query's best and its ``rank``; the ``back-rank``
    of the query for the item, the item's ``hubness``, the score above the item's ``level`` (inverted softmax), above
    the item's best (``back-margin``) and after Sinkhorn's ``balance``, all among the test queries or a bank's; the
    neighbours' mean scores (``gallery-opinion``, ``query-opinion``) and the plan of `consensus`
    (``gallery-votes``, ``query-votes``); the scores that come in (``incoming``).

    `model`: ``"list-wise"`` (a linear score under a softmax over each query's candidates), ``"logistic"`` or boosted
    ``"trees"`` (scikit-learn, needed for `fit` only); or an estimator of scikit-learn's interface that has
    ``decision_function`` or ``predict_proba``. A clone of it learns; where its ``fit`` takes ``sample_weight``, every
    query counts as much as any other. A stage with an estimator is not saved: that would be a pickle.

    Fit on a problem of about the same size and kind as those to come: opinions shift with the number of queries. Few
    labelled queries, or labels of another domain, lose; and trees over-fit before the linear models do.

    >>> import numpy as np
    >>> from rerankit import Problem, Relevance, rerank, stage
    >>> scores = np.random.default_rng(0).normal(size=(40, 40)) + 2 * np.eye(40)
    >>> fitted = stage("learned-fusion").fit(Problem(scores), Relevance.from_dense(np.eye(40)))
    >>> rerank(scores, fitted, k=5).shape
    (40, 5)
    """

    scaling = Scaling(
        shared="its weights",
        impossible="prepare: opinions that compare queries read the bank again for every shard",
    )
    name = "learned-fusion"
    citation = (
        "Cao et al., Learning to rank: from pairwise to listwise approach (ICML 2007); Ke et al., LightGBM (2017)"
    )
    takes = ("ranking", "engine")

    def __init__(
        self,
        opinions: Sequence[str] = DEFAULT,
        model: Any = "list-wise",
        candidates: int = 50,
        beta: Beta = "auto",
        penalty: float = 1.0,
        trees: int = 150,
        bank: Any = None,
    ) -> None:
        if isinstance(opinions, str) or not opinions:
            raise InputError(f"'opinions' must be a list of names (got {opinions!r})")
        for opinion in opinions:
            checks.choice("opinion", opinion, OPINIONS)
        self.opinions = opinions
        self.model = model_or_estimator("model", model, MODELS, methods=("decision_function", "predict_proba"))
        self.candidates = checks.integer("candidates", candidates, least=2)
        self.beta = check_beta("beta", beta)
        self.penalty = checks.number("penalty", penalty, above=0)
        self.trees = checks.integer("trees", trees, least=1)
        self.bank = check_bank(bank)

    @property
    def needs(self) -> tuple[str, ...]:
        named = (need for opinion in self.opinions for need in OPINIONS[opinion].needs)
        return ("weights", *dict.fromkeys(named))

    def looks_at(self, problem: Problem | None = None) -> Looks:
        if not self._others:
            return Looks(labels=self.fitted)
        return super().looks_at(problem) | Looks(queries="queries" in self._others)

    @property
    def _others(self) -> set[str]:
        """Which other queries the opinions look at: "bank" where a bank will do, "queries" where none will."""
        return {OPINIONS[opinion].looks_at for opinion in self.opinions} - {"nothing"}

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Learn from the first `candidates` of every query, or from those of `ranking`."""
        self.check(problem, weights=False)
        with on_engine(how.engine, problem):
            given = judged(problem, relevance, self.candidates) if how.ranking is None else how.ranking
            values = self._columns(problem, given)
        right, there = labels(given, relevance)
        if not isinstance(self.model, str):
            self.set_weights(fit_estimator(self.model, values[there], right[there], weights_by_query(there)))
        elif self.model == "trees":
            self.set_weights(fit_trees(values, right, there, self.trees))
        else:
            learn = fit_logistic if self.model == "logistic" else fit_list_wise
            self.set_weights(learn(values, right, there, self.penalty))

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        weights, values = dict(self.learned), self._columns(problem, ranking)
        return (
            predicted(weights, values)
            if isinstance(self.model, str)
            else estimated_scores(weights, values, ranking.mask)
        )

    def _columns(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem) if self._others else None
        return columns(tuple(self.opinions), problem, ranking, others, self.beta)
