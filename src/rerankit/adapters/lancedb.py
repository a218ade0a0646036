"""LanceDB: a Reranker; the queries of a batch are one problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rerankit.adapters.hits import relations
from rerankit.adapters.standing import answered
from rerankit.errors import InputError, UnmetNeedError, rule
from rerankit.extras import require
from rerankit.fusion import fuse
from rerankit.pipelines.pipeline import Pipeline, as_pipeline
from rerankit.pipelines.ready import Ready
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores.distances import ListMetric

_BASE: Any = require("lancedb.rerankers.base", extra="lancedb", purpose="the bridge to LanceDB").Reranker
_PA = require("pyarrow", extra="lancedb", purpose="the bridge to LanceDB")
_SCORE, _DISTANCE, _QUERY = "_relevance_score", "_distance", "query_index"


class RerankitReranker(_BASE):  # type: ignore[misc]
    """Results of LanceDB in a new order: ``table.search(vectors).rerank(RerankitReranker("csls"), query_string="")``.

    how: a stage's name, a stage or a pipeline; or what `rerankit.prepare` returned, a gallery in which items are known
    by the column `ids`. A search for several vectors is one problem of several queries. LanceDB hands over no vectors
    of queries: `queries` are those of this search, or `embed` makes one of the query's text; with them and the column
    `vector`, stages may ask how queries and how items are alike, by `metric`; `bank` are vectors of other queries.
    `text` is the column that is the feature `text`.

    Of hybrid search and of several searches, the candidates and their order come from reciprocal ranks.
    """

    def __init__(
        self,
        how: Any,
        *,
        queries: Any = None,
        embed: Callable[[str], Any] | None = None,
        bank: Any = None,
        metric: ListMetric = "l2",
        ids: str | None = None,
        vector: str = "vector",
        text: str = "text",
        return_score: str = "relevance",
    ) -> None:
        super().__init__(return_score)
        self.ready = how if isinstance(how, Ready) else None
        self.pipeline: Pipeline = how.pipeline if isinstance(how, Ready) else as_pipeline(how, {})
        self.queries = None if queries is None else np.atleast_2d(np.asarray(queries))
        self.embed, self.bank, self.metric = embed, bank, metric
        self.ids, self.vector, self.text = ids, vector, text
        if self.ready is not None and ids is None:
            raise rule("ids", "must name the column by which a gallery that stands ready knows its items", None)

    def rerank_vector(self, query: str, vector_results: Any) -> Any:
        """A table of a vector search, of one query or of several, query after query."""
        return self._reranked(query, vector_results, {"vector": vector_results})

    def rerank_fts(self, query: str, fts_results: Any) -> Any:
        """A table of a search for words."""
        return self._reranked(query, fts_results, {"words": fts_results})

    def rerank_hybrid(self, query: str, vector_results: Any, fts_results: Any) -> Any:
        """The tables of both searches."""
        if self.score == "all":
            merged = self._merge_and_keep_scores(vector_results, fts_results)
        else:
            merged = self.merge_results(vector_results, fts_results)
        return self._reranked(query, merged, {"vector": vector_results, "words": fts_results})

    def rerank_multivector(self, vector_results: Any, query: str | None = None, deduplicate: bool = True) -> Any:
        """Tables of several searches for one query, such as with several vectors; each row comes once."""
        tables = [found.to_arrow() if hasattr(found, "to_arrow") else found for found in vector_results]
        if not all("_rowid" in table.column_names for table in tables):
            raise InputError("the tables of several searches must have row ids: search(…).with_row_id(True)")
        merged = self._deduplicate(_PA.concat_tables(tables))
        return self._reranked(query or "", merged, {f"search {place}": each for place, each in enumerate(tables)})

    def _reranked(self, query: str, table: Any, searches: Mapping[str, Any]) -> Any:
        """The rows of a table, in which those of all searches come once, in the order of the stages."""
        if not len(table):
            return self._handle_empty_results(table)
        rows = {pair: row for row, pair in enumerate(self._pairs(table))}
        if len(rows) < len(table):
            raise rule("ids", "must name a column in which a query's rows differ", f"{len(table) - len(rows)} repeated")
        queries, items = sorted({query for query, _ in rows}), {name: row for (_, name), row in reversed(rows.items())}
        runs = {name: self._run(found, queries) for name, found in searches.items() if len(found)}
        lists = Problem.from_runs(runs, query_ids=queries, gallery_ids=list(items))
        first = lists.ranking()
        if lists.extra_scores:
            first = fuse([lists, *lists.extra_scores.values()], method="rrf", k=None)
        vectors = self._vectors(query, queries)
        if self.ready is not None:
            ranking = answered(self.ready, first, vectors, [query] * len(queries) if query else None)
        else:
            known = self._known(query, table.take(list(items.values())), vectors, len(queries))
            problem = Problem.from_runs(runs, query_ids=queries, gallery_ids=list(items), **known)
            ranking = self._answered(problem, first, table.column_names)
        found = ranking.to_columns()
        taken = [rows[pair] for pair in zip(found["query"].tolist(), found["item"].tolist(), strict=True)]
        scored = table.take(taken).append_column(_SCORE, _PA.array(found["score"], _PA.float32()))
        return self._keep_relevance_score(scored)

    def _answered(self, problem: Problem, first: Ranking, columns: list[str]) -> Ranking:
        try:
            return self.pipeline.rerank(problem, first)
        except UnmetNeedError as error:
            column = f"no column {self.vector!r} of vectors (select it, or name another)"
            lacks = [] if self.vector in columns else [column]
            lacks += [] if problem.query_scores is not None else ["no vectors of queries (give 'queries' or 'embed')"]
            why = f"; these results have {' and '.join(lacks)}" if lacks else ""
            raise UnmetNeedError(f"{error}{why}") from error

    def _pairs(self, table: Any) -> list[tuple[int, Any]]:
        """The query and the item of every row."""
        several = _QUERY in table.column_names
        queries = table[_QUERY].to_pylist() if several else [0] * len(table)
        name = self.ids or ("_rowid" if "_rowid" in table.column_names else None)
        if name is None and several:
            raise InputError("a search for several vectors must have row ids, .with_row_id(True), or give 'ids'")
        if name is not None and name not in table.column_names:
            raise rule("ids", "must be one of the selected columns", f"{name!r}, not in {table.column_names}")
        return list(zip(queries, range(len(table)) if name is None else table[name].to_pylist(), strict=True))

    def _run(self, table: Any, queries: list[int]) -> dict[int, dict[Any, float]]:
        """The scores with which rows were found: minus the distances, or those of words."""
        by_distance = _DISTANCE in table.column_names
        values = table[_DISTANCE if by_distance else "_score"].to_pylist()
        run: dict[int, dict[Any, float]] = {query: {} for query in queries}
        for (query, item), value in zip(self._pairs(table), values, strict=True):
            run[query][item] = -value if by_distance else value
        return run

    def _vectors(self, query: str, queries: list[int]) -> Any:
        """Vectors of the queries, where they are known."""
        if self.queries is not None:
            if queries[-1] >= len(self.queries):
                raise rule("queries", "must be the vectors of this search", f"{len(self.queries)} of {queries[-1] + 1}")
            return self.queries[queries]
        return None if self.embed is None or len(queries) > 1 else np.atleast_2d(np.asarray(self.embed(query)))

    def _known(self, query: str, items: Any, of_queries: Any, count: int) -> dict[str, Any]:
        """What stages may ask besides the scores: similarities by vectors, and texts."""
        columns = items.column_names
        vectors = items[self.vector].to_pylist() if self.vector in columns else [None]
        known = relations(vectors, of_queries, self.bank, self.metric)
        texts = items[self.text].to_pylist() if self.text in columns else [None]
        if None not in texts:
            known["gallery_features"] = {"text": texts}
        if query:
            known["query_features"] = {"text": [query] * count}
        return known
