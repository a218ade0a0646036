"""PyTerrier: a pipeline of stages as a Transformer, and a Transformer as a stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from rerankit.adapters.by_query import ByQuery
from rerankit.adapters.standing import answered
from rerankit.arrays import FloatArray, IntArray, real_matrix
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.pipelines.needs import Need
from rerankit.pipelines.pipeline import Pipeline, as_pipeline
from rerankit.pipelines.ready import Ready
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import VectorMetric

_PT = require("pyterrier", extra="pyterrier", purpose="the bridge to PyTerrier", least="1")
_PD = require("pandas", extra="pyterrier", purpose="the bridge to PyTerrier")
_BASE: Any = _PT.Transformer
_LINES = ["qid", "docno", "score"]
_VECTORS = ("query_vec", "doc_vec")
_TEXTS = {"query_features": "query", "gallery_features": "text"}


class RerankitTransformer(_BASE):  # type: ignore[misc]
    """Results in a new order: a stage of PyTerrier's pipelines, for all queries of a frame together.

    how: a stage's name, a stage or a pipeline; or what `rerankit.prepare` returned, a gallery in which documents are
    known by their docno. Columns `query` and `text` are the feature `text` of both sides. Where the frame has
    `query_vec` and `doc_vec`, stages may ask how queries and how documents are alike, by `metric`; `bank` are vectors
    of other queries. `embed` makes vectors of queries for a gallery that stands ready, where the frame has none.

    All columns are kept but `score` and `rank`. ``retriever % 50 >> RerankitTransformer("nnn")`` re-ranks the first 50.
    """

    def __init__(
        self,
        how: Any,
        *,
        bank: Any = None,
        embed: Callable[[str], Any] | None = None,
        metric: VectorMetric = "cosine",
    ) -> None:
        super().__init__()
        self.ready = how if isinstance(how, Ready) else None
        self.pipeline: Pipeline = how.pipeline if isinstance(how, Ready) else as_pipeline(how, {})
        self.bank, self.embed, self.metric = bank, embed, metric

    def __repr__(self) -> str:
        return f"RerankitTransformer({self.pipeline!r})"

    def transform_inputs(self) -> list[list[str]]:
        """The columns that a frame must have, without and with vectors."""
        kinds = {Need.of(need).kind for need in self.pipeline.needs}
        if self.ready is not None:
            kinds -= {"gallery_features"}
        columns = [*_LINES, *(column for kind, column in _TEXTS.items() if kind in kinds)]
        if self.ready is not None and self.embed is not None and "query" not in columns:
            columns.append("query")
        if self.bank is not None or (kinds & {"query_scores", "gallery_scores", "embeddings"} and self.ready is None):
            return [[*columns, *_VECTORS]]
        return [columns, [*columns, *_VECTORS[: 1 if self.ready is not None else 2]]]

    def transform_outputs(self, input_columns: list[str]) -> list[str]:
        """The columns of the answer: those that came, and the rank."""
        return [*(name for name in input_columns if name != "rank"), "rank"]

    def transform(self, inp: Any) -> Any:
        """The lines of a frame with new scores and ranks, the best of each query first."""
        with _PT.validate.any(inp, context=self) as check:
            for columns in self.transform_inputs():
                check.result_frame(extra_columns=columns[2:], mode="rerank")
        names = self.transform_outputs(list(inp.columns))
        if inp.empty:
            return inp.reindex(columns=names).astype({"score": np.float64, "rank": np.int64})
        ranking = self._ranking(inp)
        found = _PD.DataFrame(ranking.to_columns()).rename(columns={"query": "qid", "item": "docno"})
        found["rank"] += _PT.model.FIRST_RANK - 1
        found["score"] = found["score"].astype(np.float64)
        kept = inp.drop(columns=["score", "rank"], errors="ignore")
        return found.merge(kept, on=["qid", "docno"], how="left")[names]

    def _ranking(self, frame: Any) -> Ranking:
        sides = {"query": _once(frame, "qid"), "gallery": _once(frame, "docno")}
        ids: dict[str, Any] = {
            f"{side}_ids": rows["qid" if side == "query" else "docno"].tolist() for side, rows in sides.items()
        }
        first = Problem(frame[_LINES], **ids)
        features: dict[str, Any] = {
            f"{side}_features": {"text": rows[column].tolist()}
            for (side, rows), column in zip(sides.items(), ("query", "text"), strict=True)
            if column in rows
        }
        if self.ready is not None:
            texts = sides["query"]["query"].tolist() if "query" in frame else None
            return answered(self.ready, first.ranking(), self._asked(sides["query"]), texts)
        if not all(column in frame for column in _VECTORS):
            return self.pipeline.rerank(first.with_features(**features), first.ranking())
        queries, items = (real_matrix(sides[side][name], name) for side, name in zip(sides, _VECTORS, strict=True))
        problem = Problem.from_embeddings(queries, items, self.metric, query_bank=self.bank, **ids, **features)
        return self.pipeline.rerank(problem, first.ranking())

    def _asked(self, queries: Any) -> Any:
        """Vectors of the queries, where the frame has them or they can be made."""
        if _VECTORS[0] in queries:
            return real_matrix(queries[_VECTORS[0]], _VECTORS[0])
        return None if self.embed is None else np.stack([np.asarray(self.embed(text)) for text in queries["query"]])


class PyTerrierStage(ByQuery):
    """A Transformer that re-ranks, as a stage; what it leaves out (``transformer % 10``) stays behind.

    It gets a frame for each query with `qid`, `docno`, `score`, `rank`, and the columns `query` and `text` where the
    problem has the features of these names, `query` and `candidate`.
    """

    name: ClassVar[str] = "pyterrier"

    def __init__(self, transformer: Any, *, query: str = "text", candidate: str = "text") -> None:
        if not isinstance(transformer, _PT.Transformer):
            raise rule("transformer", "must be a Transformer of PyTerrier", type(transformer).__name__)
        self.transformer, self.query, self.candidate = transformer, query, candidate

    def answer(self, problem: Problem, query: int, items: IntArray, scores: FloatArray) -> FloatArray:
        names = [str(item) for item in (items if problem.gallery_ids is None else problem.gallery_ids[items])]
        frame = _PD.DataFrame(
            {"qid": str(query if problem.query_ids is None else problem.query_ids[query])}, range(len(items))
        )
        frame = frame.assign(docno=names, score=scores.astype(np.float64), rank=range(len(items)))
        if self.query in problem.query_features:
            frame["query"] = problem.query_features[self.query][query]
        if self.candidate in problem.gallery_features:
            frame["text"] = [problem.gallery_features[self.candidate][item] for item in items]
        found = self.transformer(frame)
        places = {name: place for place, name in enumerate(names)}
        out = np.full(len(items), np.nan, np.float32)
        out[[places[name] for name in found["docno"]]] = found["score"]
        return out


def _once(frame: Any, column: str) -> Any:
    return frame.drop_duplicates(column)
