"""A model of the library rerankers as a stage."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem
from rerankit.errors import InputError, UnmetNeedError

pytest.importorskip("rerankers")

from rerankers.documents import Document
from rerankers.models.ranker import BaseRanker
from rerankers.results import RankedResults, Result

from rerankit.adapters.rerankers import RerankersStage

TEXTS = ["a wall", "a red wall", "a red cat", "cats"]
PROBLEM = Problem(
    [[0.9, 0.8, 0.7, 0.6], [0.6, 0.7, 0.8, 0.9]],
    query_features={"text": ["red cat", "wall"]},
    gallery_features={"text": TEXTS},
)


class Words(BaseRanker):
    """A model of the library: the words that query and document share; without scores, without some documents."""

    def __init__(self, scored=True, most=10):
        self.scored, self.most = scored, most

    def score(self, query, doc):
        return float(len(set(query.split()) & set(doc.split())))

    def rank(self, query, docs, doc_ids=None):
        scores = [self.score(query, doc) for doc in docs]
        order = sorted(range(len(docs)), key=lambda n: -scores[n])[: self.most]
        found = [
            Result(Document(docs[n], doc_id=doc_ids[n]), score=scores[n] if self.scored else None, rank=place + 1)
            for place, n in enumerate(order)
        ]
        return RankedResults(found, query, has_scores=self.scored)


def test_scores_are_the_models():
    found = rerankit.rerank(PROBLEM, RerankersStage(Words()))
    assert found.indices.tolist() == [[2, 1, 0, 3], [1, 0, 3, 2]]
    np.testing.assert_allclose(found.scores[0], [2, 1, 0, 0], atol=1e-6)
    assert not RerankersStage(Words()).looks_at(PROBLEM).queries


def test_an_order_without_scores_and_without_some():
    assert rerankit.rerank(PROBLEM, RerankersStage(Words(scored=False))).indices[0].tolist() == [2, 1, 0, 3]
    # The model returns two: the others keep their order behind them.
    found = rerankit.rerank(PROBLEM, RerankersStage(Words(most=1)))
    assert found.indices.tolist() == [[2, 0, 1, 3], [1, 3, 2, 0]]
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_a_real_model_of_the_library(tmp_path):
    """Its own cross-encoder class around a tiny random network."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    from rerankers import Reranker

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({w for text in TEXTS for w in text.split()})]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    model = Reranker(str(tmp_path), model_type="cross-encoder", device="cpu", dtype=torch.float32, verbose=0)
    found = rerankit.rerank(PROBLEM, RerankersStage(model))
    theirs = model.rank("red cat", TEXTS, doc_ids=list(range(4)))
    assert found.indices[0].tolist() == [result.document.doc_id for result in theirs.results]


def test_what_is_wrong_is_said():
    with pytest.raises(InputError, match="'model' must be a model of rerankers"):
        RerankersStage("cross-encoder")
    with pytest.raises(UnmetNeedError, match="gallery_features:text"):
        rerankit.rerank([[0.1, 0.2]], RerankersStage(Words()))
