"""LangChain: a document compressor, and the same as a Runnable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rerankit import checks
from rerankit.adapters.one_query import OneQuery
from rerankit.errors import rule, several
from rerankit.extras import require
from rerankit.scores import VectorMetric

_PURPOSE = "the bridge to LangChain"
_BASE = require("langchain_core.documents", extra="langchain", purpose=_PURPOSE).BaseDocumentCompressor
_RUNNABLES = require("langchain_core.runnables", extra="langchain", purpose=_PURPOSE)
_SCORE = "relevance_score"


class RerankitCompressor(_BASE):  # type: ignore[misc, valid-type]
    """Documents of a retriever in a new order, for a `ContextualCompressionRetriever`.

    how: a stage's name, a stage or a pipeline, which sees the query and its documents alone; or what
    `rerankit.prepare` returned, a gallery in which documents are known by their `id`, or by the entry `id_key` of their
    metadata. embed: an `Embeddings` of LangChain or a function, for galleries of vectors. score_key: the entry of the
    metadata with a document's score, higher is better; without one the order of the documents counts.

    New scores stand in the metadata as `relevance_score`; documents that were given are not changed.
    """

    model_config: ClassVar[dict[str, Any]] = {"arbitrary_types_allowed": True, "extra": "forbid"}

    how: Any
    top_n: int | None = None
    embed: Any = None
    id_key: str | None = None
    score_key: str | None = None
    metric: VectorMetric = "cosine"

    def model_post_init(self, context: Any) -> None:
        self._one()

    def _one(self) -> tuple[OneQuery, int | None]:
        """What puts documents in order, and how many are wanted, by the fields as they are now, in a copy too."""
        top = None if self.top_n is None else checks.integer("top_n", self.top_n, least=1)
        return OneQuery(self.how, getattr(self.embed, "embed_query", self.embed), self.metric), top

    def compress_documents(self, documents: Sequence[Any], query: str, callbacks: Any = None) -> list[Any]:
        """The documents, best first, and no more than `top_n`."""
        ids = [each.id if self.id_key is None else each.metadata.get(self.id_key) for each in documents]
        scores = None if self.score_key is None else [each.metadata.get(self.score_key) for each in documents]
        if scores is not None and None in scores:
            without = [place for place, score in enumerate(scores) if score is None]
            got = f"{self.score_key!r}, {several('without', without, len(scores))}"
            raise rule("score_key", "must be an entry of every document's metadata", got)
        one, top = self._one()
        found = one.order(query, [each.page_content for each in documents], ids=ids, scores=scores)
        return [_scored(documents[place], score) for place, score in found[:top]]

    def runnable(self) -> Any:
        """A Runnable that takes ``{"query": …, "documents": […]}``."""

        def rerank(given: dict[str, Any]) -> list[Any]:
            return self.compress_documents(given["documents"], given["query"])

        return _RUNNABLES.RunnableLambda(rerank)


def _scored(document: Any, score: float) -> Any:
    return document.model_copy(update={"metadata": {**document.metadata, _SCORE: score}})
