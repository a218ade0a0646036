"""A bi-encoder's embeddings as a problem, and its figures before and after re-ranking, with a real small model."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import rerankit
from rerankit.errors import InputError

pytest.importorskip("sentence_transformers")

QUERIES = {"q1": "red bicycle", "q2": "old castle", "q3": "grey cat"}
DOCUMENTS = {"d1": "a red bicycle by a wall", "d2": "an old castle on a hill", "d3": "a grey cat", "d4": "a wall"}
RELEVANT = {"q1": {"d1"}, "q2": {"d2": 2}, "q3": ["d3"]}


@pytest.fixture
def model(static_encoder):
    """Random vectors for the words of these texts."""
    return static_encoder([*QUERIES.values(), *DOCUMENTS.values()])


def test_embeddings_become_a_problem_with_texts_and_ids(model):
    from rerankit.adapters.sentence_transformers import problem_of

    problem = problem_of(model, QUERIES, DOCUMENTS)
    assert problem.query_ids.tolist() == list(QUERIES)
    assert list(problem.gallery_features["text"]) == list(DOCUMENTS.values())
    theirs = model.similarity(model.encode_query([*QUERIES.values()]), model.encode_document([*DOCUMENTS.values()]))
    np.testing.assert_allclose(problem.scores.rows(), theirs.numpy(), atol=1e-6)
    assert problem.query_scores is not None
    plain = problem_of(model, list(QUERIES.values()), list(DOCUMENTS.values()))
    assert plain.query_ids is None
    with pytest.raises(InputError, match="'queries' must be a list, or"):
        problem_of(model, "red bicycle", DOCUMENTS)


def test_the_metric_is_the_models(model):
    from rerankit.adapters.sentence_transformers import problem_of

    usual = model.similarity_fn_name
    try:
        model.similarity_fn_name = "dot"
        assert problem_of(model, QUERIES, DOCUMENTS).scores.metric == "dot"
        model.similarity_fn_name = "manhattan"
        with pytest.raises(InputError, match="'model' must compare by cosine, dot, euclidean"):
            problem_of(model, QUERIES, DOCUMENTS)
    finally:
        model.similarity_fn_name = usual


def test_figures_before_and_after(model, tmp_path):
    from rerankit.adapters.sentence_transformers import RerankingEvaluator, problem_of

    evaluator = RerankingEvaluator(QUERIES, DOCUMENTS, RELEVANT, "mutual-rank", name="toy", metrics=["mrr", "ndcg@10"])
    found = evaluator(model, str(tmp_path), epoch=1, steps=20)
    problem = problem_of(model, QUERIES, DOCUMENTS)
    right = {
        query: dict.fromkeys(items, 1.0) | (items if isinstance(items, dict) else {})
        for query, items in RELEVANT.items()
    }
    for name, ranking in (("base", problem.ranking()), ("reranked", rerankit.rerank(problem, "mutual-rank"))):
        for metric, value in rerankit.evaluate(ranking, right, ["mrr", "ndcg@10"]).items():
            assert found[f"toy_{name}_{metric}"] == pytest.approx(value)
    assert evaluator.primary_metric == "toy_reranked_mrr"
    assert evaluator.primary_metric in found
    evaluator(model, str(tmp_path), epoch=2)
    rows = list(csv.DictReader((tmp_path / "reranking_evaluation_toy.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["base_mrr"]) == pytest.approx(found["toy_base_mrr"])


class LikeTheBank(rerankit.Stage):
    """Documents in the order in which the bank is like them."""

    name = "like-the-bank"
    needs = ("query_bank",)

    def rescore(self, problem, ranking):
        return problem.query_bank.to_gallery.rows().mean(axis=0)[ranking.indices]


def test_a_bank_is_encoded_by_the_model_of_the_moment(model):
    from rerankit.adapters.sentence_transformers import RerankingEvaluator

    relevant = {query: ["d4"] for query in QUERIES}
    evaluator = RerankingEvaluator(
        QUERIES, DOCUMENTS, relevant, LikeTheBank(), metrics=["mean_rank"], bank=["a wall", "wall"]
    )
    assert evaluator(model)["reranked_mean_rank"] == 1
    assert evaluator(model)["base_mean_rank"] > 1


@pytest.mark.filterwarnings("default")  # the trainer's own
def test_figures_come_while_a_model_is_trained(model, tmp_path):
    pytest.importorskip("datasets")
    pytest.importorskip("accelerate")
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer import losses

    from rerankit.adapters.sentence_transformers import RerankingEvaluator

    pairs = Dataset.from_dict({"anchor": list(QUERIES.values()), "positive": list(DOCUMENTS.values())[:3]})
    evaluator = RerankingEvaluator(QUERIES, DOCUMENTS, RELEVANT, "mutual-rank", name="toy", metrics=["mrr"])
    options = SentenceTransformerTrainingArguments(
        str(tmp_path),
        num_train_epochs=2,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_toy_reranked_mrr",
        learning_rate=0.5,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model, options, train_dataset=pairs, loss=losses.MultipleNegativesRankingLoss(model), evaluator=evaluator
    )
    trainer.train()
    told = [log for log in trainer.state.log_history if "eval_toy_reranked_mrr" in log]
    assert [log["epoch"] for log in told] == [1.0, 2.0]
    assert trainer.state.best_metric == max(log["eval_toy_reranked_mrr"] for log in told)
    assert evaluator(model)["toy_base_mrr"] == pytest.approx(told[-1]["eval_toy_base_mrr"])


def test_what_is_wrong_is_said():
    from rerankit.adapters.sentence_transformers import RerankingEvaluator

    with pytest.raises(InputError, match="'relevant' must name only known queries and documents"):
        RerankingEvaluator(QUERIES, DOCUMENTS, {"q1": ["d9"]}, "mutual-rank")
    with pytest.raises(InputError, match="unknown metric"):
        RerankingEvaluator(QUERIES, DOCUMENTS, RELEVANT, "mutual-rank", metrics=["recal@10"])
