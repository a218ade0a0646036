"""A real small model for the tests of libraries that encode."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def static_encoder():
    """A SentenceTransformer of random vectors for the words of some texts."""

    def make(texts, width=32):
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
        from tokenizers import Tokenizer, models, pre_tokenizers

        words = sorted({word for text in texts for word in text.split()})
        tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate([*words, "?"])}, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        weights = np.random.default_rng(0).normal(size=(len(words) + 1, width)).astype(np.float32)
        return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu")

    return make
