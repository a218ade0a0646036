"""One query with its documents, as retrieval frameworks hand them over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rerankit.errors import InputError, UnmetNeedError
from rerankit.gallery import Gallery
from rerankit.pipelines.pipeline import Pipeline, as_pipeline
from rerankit.pipelines.ready import Ready
from rerankit.preparing import prepare
from rerankit.problem import Problem
from rerankit.scores import VectorMetric

Embed = Callable[[str], Any]


class OneQuery:
    """What puts the documents of one query in order.

    `how` is a gallery that stands ready (`rerankit.prepare`), in which the documents are known by their ids; or a
    stage's name, a stage or a pipeline, which sees the query and these documents alone: one that looks at other queries
    is refused. Texts are the feature `text` of both. `embed` makes a vector of a query where none comes with it.
    """

    def __init__(self, how: Any, embed: Embed | None = None, metric: VectorMetric = "cosine") -> None:
        self.ready = how if isinstance(how, Ready) else None
        self.pipeline: Pipeline = how.pipeline if isinstance(how, Ready) else as_pipeline(how, {})
        self.embed, self.metric = embed, metric
        if self.ready is None:
            _refuse_transductive(self.pipeline)

    def order(
        self,
        query: str,
        texts: Sequence[str],
        *,
        ids: Sequence[Any] = (),
        scores: Sequence[float | None] | None = None,
        vector: Any = None,
        vectors: Sequence[Any] = (),
    ) -> list[tuple[int, float]]:
        """The places of the documents, best first, with their scores.

        scores: those with which they were found, higher is better; where one is missing, vectors decide if they are
        known, and else the order of the documents. vector, vectors: of the query and of the documents, where all have
        one. Of documents with one id the first is taken.
        """
        if not texts:
            return []
        values = None if scores is None or any(one is None for one in scores) else list(scores)
        if self.ready is not None:
            return self._in_gallery(self.ready, query, list(ids), values, vector)
        known = None if not len(vectors) or any(one is None for one in vectors) else np.asarray(vectors, np.float32)
        query_vectors = self._asked(query, vector) if known is not None else None
        gallery = _gallery(texts, None if query_vectors is None else known, self.metric)
        given: dict[str, Any] = {"scores": values or [-float(place) for place in range(len(texts))]}
        if query_vectors is not None:
            given = {} if values is None else {"candidates": [range(len(texts))], "scores": [values]}
        ranking = prepare(self.pipeline, gallery).rerank(query_vectors, k=None, features={"text": [query]}, **given)
        return list(zip(ranking.indices[0].tolist(), ranking.scores[0].tolist(), strict=True))

    def _in_gallery(
        self, ready: Ready, query: str, ids: list[Any], values: list[Any] | None, vector: Any
    ) -> list[tuple[int, float]]:
        places: dict[Any, int] = {}
        for place, name in enumerate(ids):
            places.setdefault(name, place)
        if None in places or not ids:
            raise InputError("documents must have the ids by which the gallery that stands ready knows them (got None)")
        query_vectors = self._asked(query, vector) if ready.gallery.embeddings is not None else None
        if query_vectors is None and values is None and ready.gallery.embeddings is not None:
            raise InputError("'embed' must be given where neither the query has a vector nor the documents have scores")
        ranking = ready.rerank(
            query_vectors,
            candidates=[list(places)],
            scores=None if values is None else [[values[place] for place in places.values()]],
            features={"text": [query]},
            k=None,
        )
        known = np.arange(ready.gallery.size) if ready.gallery.ids is None else ready.gallery.ids.values
        found = known[ranking.indices[0]].tolist()
        return [(places[name], score) for name, score in zip(found, ranking.scores[0].tolist(), strict=True)]

    def _asked(self, query: str, vector: Any) -> Any:
        return self.embed(query) if vector is None and self.embed is not None else vector


def _gallery(texts: Sequence[str], vectors: Any, metric: VectorMetric) -> Gallery:
    features = {"text": list(texts)}
    if vectors is None:
        return Gallery.from_scores(size=len(texts), features=features)
    return Gallery(vectors, metric=metric, features=features)


def _refuse_transductive(pipeline: Pipeline) -> None:
    alone = Problem([[0.0]])
    found = [one.name for one in pipeline.stages if one.looks_at(alone).queries]
    if found:
        raise UnmetNeedError(
            f"stage '{found[0]}' looks at other queries, and here one query comes at a time: "
            "give rerankit.prepare(stage, Gallery(vectors, ids=…, bank=…)), in which a bank stands in their place"
        )
