"""LlamaIndex: a node postprocessor."""

from __future__ import annotations

from typing import Any, ClassVar

from rerankit import checks
from rerankit.adapters.one_query import OneQuery
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.scores import VectorMetric

_PURPOSE = "the bridge to LlamaIndex"
_BASE = require("llama_index.core.postprocessor.types", extra="llama-index", purpose=_PURPOSE).BaseNodePostprocessor
_FIELD = require("llama_index.core.bridge.pydantic", extra="llama-index", purpose=_PURPOSE).Field
_SCHEMA = require("llama_index.core.schema", extra="llama-index", purpose=_PURPOSE)


class RerankitPostprocessor(_BASE):  # type: ignore[misc, valid-type]
    """Nodes of a retriever in a new order.

    how: a stage's name, a stage or a pipeline, which sees the query and its nodes alone; or what `rerankit.prepare`
    returned, a gallery in which nodes are known by their `node_id`. The query's embedding is that of the bundle, or
    what `embed` makes of its text (a `BaseEmbedding` or a function); with it and those of all nodes, stages may ask how
    nodes are alike. A node's score is the new one; with `keep_retrieval_score` the metadata of a copy of the node keep
    the old one as `retrieval_score`.
    """

    model_config: ClassVar[dict[str, Any]] = {"arbitrary_types_allowed": True, "extra": "forbid"}

    how: Any = _FIELD(exclude=True)
    top_n: int | None = None
    embed: Any = _FIELD(default=None, exclude=True)
    keep_retrieval_score: bool = False
    metric: VectorMetric = "cosine"

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._one()

    def _one(self) -> tuple[OneQuery, int | None]:
        """What puts nodes in order, and how many are wanted, by the fields as they are now, since these may be set."""
        top = None if self.top_n is None else checks.integer("top_n", self.top_n, least=1)
        return OneQuery(self.how, getattr(self.embed, "get_query_embedding", self.embed), self.metric), top

    @classmethod
    def class_name(cls) -> str:
        return "RerankitPostprocessor"

    def _postprocess_nodes(self, nodes: list[Any], query_bundle: Any = None) -> list[Any]:
        if not nodes:
            return []
        if query_bundle is None:
            raise rule("query_bundle", "must be given: a re-ranker needs the query", None)
        one, top = self._one()
        found = one.order(
            query_bundle.query_str,
            [node.node.get_content(metadata_mode=_SCHEMA.MetadataMode.EMBED) for node in nodes],
            ids=[node.node.node_id for node in nodes],
            scores=[node.score for node in nodes],
            vector=query_bundle.embedding,
            vectors=[node.node.embedding for node in nodes],
        )
        return [self._scored(nodes[place], score) for place, score in found[:top]]

    def _scored(self, node: Any, score: float) -> Any:
        inner = node.node
        if self.keep_retrieval_score:
            inner = inner.model_copy(update={"metadata": {**inner.metadata, "retrieval_score": node.score}})
        return _SCHEMA.NodeWithScore(node=inner, score=score)
