"""Haystack: a ranker component."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rerankit import checks
from rerankit.adapters.one_query import OneQuery
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.storage import load
from rerankit.scores import VectorMetric

_HAYSTACK = require("haystack", extra="haystack", purpose="the bridge to Haystack")
if TYPE_CHECKING:
    from haystack import Document
else:
    Document = _HAYSTACK.Document


@_HAYSTACK.component
class RerankitRanker:
    """Documents of a retriever in a new order.

    stage: a stage's name, or the YAML text of a pipeline (`pipeline.to_yaml()`), which sees the query and its documents
    alone. folder: in its place, a folder that `stage.save` or `ready.save` wrote; in a gallery that stands ready
    documents are known by their `id`. `warm_up` loads it. Where the query's embedding is connected to
    `query_embedding`, and all documents have one, stages may ask how documents are alike.

    Documents that come twice are taken once; those that were given are not changed.
    """

    def __init__(
        self,
        stage: str | None = None,
        *,
        folder: str | None = None,
        top_k: int | None = 10,
        metric: VectorMetric = "cosine",
        trust: bool = False,
    ) -> None:
        if (stage is None) == (folder is None):
            raise rule("stage", "must be given, or 'folder' in its place", f"{stage!r} and {folder!r}")
        given: Any = stage
        if given is not None and not isinstance(given, str):
            text = "must be a stage's name or the YAML of a pipeline, which can be written; save others into a 'folder'"
            raise rule("stage", text, type(given).__name__)
        self.stage, self.folder, self.metric, self.trust = stage, folder, metric, trust
        self.top_k = _top(top_k)
        self._one: OneQuery | None = None if stage is None else OneQuery(_made(stage), metric=metric)

    def warm_up(self) -> None:
        """Load what the folder holds."""
        if self._one is None and self.folder is not None:
            self._one = OneQuery(load(self.folder, trust=self.trust), metric=self.metric)

    @_HAYSTACK.component.output_types(documents=list[Document])  # type: ignore[untyped-decorator]
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        query_embedding: list[float] | None = None,
    ) -> dict[str, list[Any]]:
        """The documents, best first, and no more than `top_k`."""
        self.warm_up()
        top = self.top_k if top_k is None else _top(top_k)
        known: dict[str, Any] = {}
        for each in documents:
            known.setdefault(each.id, each)
        once = list(known.values())
        found = self._one.order(  # type: ignore[union-attr]
            query,
            [each.content or "" for each in once],
            ids=[each.id for each in once],
            scores=[each.score for each in once],
            vector=query_embedding,
            vectors=[each.embedding for each in once],
        )
        return {"documents": [replace(once[place], score=score) for place, score in found[:top]]}

    def to_dict(self) -> dict[str, Any]:
        """The arguments, as Haystack writes them."""
        names = ("stage", "folder", "top_k", "metric", "trust")
        return dict(_HAYSTACK.default_to_dict(self, **{name: getattr(self, name) for name in names}))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        """The component of what `to_dict` gave."""
        return _HAYSTACK.default_from_dict(cls, data)


def _top(top_k: Any) -> int | None:
    return None if top_k is None else checks.integer("top_k", top_k, least=1)


def _made(stage: str) -> Any:
    return Pipeline.from_yaml(stage) if ":" in stage else stage
