"""Bodies of requests as arguments, and rankings as bodies of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rerankit import checks
from rerankit.errors import InputError, rule, unknown_name
from rerankit.pipelines.ready import Ready
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.serving.bounds import Bounds

_SEARCH = ("query", "queries", "candidates", "scores", "k", "ids", "features", "exclude", "bank_scores")
_QUERIES = ("query", "queries", "text_1")
_DOCUMENTS = ("documents", "texts", "text_2")
_NO_MATTER = ("model", "truncate", "raw_scores", "max_tokens_per_doc", "max_chunks_per_doc", "encoding_format", "user")
_RERANK = (*_QUERIES, *_DOCUMENTS, "top_n", "return_documents", "return_text", *_NO_MATTER)


def search_arguments(body: Any, bounds: Bounds) -> dict[str, Any]:
    """The arguments of `Ready.rerank` in the body of `/search`.

    >>> search_arguments({"query": [1.0, 0.0], "k": 5}, Bounds())
    {'k': 5, 'queries': [1.0, 0.0]}
    """
    _check_fields(body, _SEARCH)
    given = dict(body)
    if "query" in given and "queries" in given:
        raise InputError("'query' and 'queries' cannot both be given")
    if "query" in given:
        given["queries"] = given.pop("query")
    given["k"] = checks.integer("k", given.get("k", min(100, bounds.candidates)), least=1, most=bounds.candidates)
    for name in ("queries", "candidates", "scores"):
        _check_count(name, given.get(name), bounds)
    return given


def ranking_body(ranking: Ranking) -> dict[str, Any]:
    """The answer of `/search`: for every query its items with their scores, best first."""
    names = ranking.to_dict()
    results = [
        {"query": query, "items": [{"id": item, "score": score} for item, score in items.items()]}
        for query, items in names.items()
    ]
    return {"results": results}


@dataclass(frozen=True)
class Documents:
    """A text query with texts to be put in order, as re-ranking services are asked."""

    query: str
    texts: list[str]
    top: int
    returned: bool

    @classmethod
    def of(cls, body: Any, bounds: Bounds) -> Documents:
        """From a body in the form of Jina, Cohere, vLLM, TEI or Weaviate."""
        _check_fields(body, _RERANK)
        asked, named = ([name for name in names if name in body] for names in (_QUERIES, _DOCUMENTS))
        query = body[asked[0]] if len(asked) == 1 else None
        if not isinstance(query, str):
            raise rule("query", "must be a text", query)
        if len(named) != 1:
            raise InputError("'documents' (or 'texts') must be given (got none or both)")
        texts = [_text(one, place, named[0]) for place, one in enumerate(_list(body[named[0]], named[0], bounds))]
        top = checks.integer("top_n", body.get("top_n") or len(texts), least=1)
        returned = bool(body.get("return_documents", False) or body.get("return_text", False))
        return cls(query, texts, min(top, len(texts)), returned)

    def ranked(self, ready: Ready) -> Ranking:
        """The documents in the order of the pipeline, which must read texts of both sides and nothing else."""
        needs = [need for one in ready.pipeline.stages for need in one.needs if need != "weights"]
        features: dict[str, Any] = {"query_features": {}, "gallery_features": {}}
        for need in needs:
            kind, _, names = need.partition(":")
            if kind not in features:
                raise InputError(f"this service's pipeline needs {need}, which documents do not have: use /search")
            features[kind][names.partition("|")[0]] = [self.query] if kind == "query_features" else self.texts
        if not features["gallery_features"]:
            raise InputError("this service's pipeline reads no texts of documents: use /search")
        problem = Problem([[-float(place) for place in range(len(self.texts))]], **features)
        return ready.pipeline.rerank(problem, problem.ranking())

    def results(self, ranking: Ranking) -> list[dict[str, Any]]:
        """The first documents with their places in the request and scores."""
        pairs = zip(ranking.indices[0, : self.top].tolist(), ranking.scores[0, : self.top].tolist(), strict=True)
        return [self._result(index, score) for index, score in pairs]

    def _result(self, index: int, score: float) -> dict[str, Any]:
        found: dict[str, Any] = {"index": index, "relevance_score": score}
        return {**found, "document": {"text": self.texts[index]}} if self.returned else found


def _check_fields(body: Any, known: Sequence[str]) -> None:
    if not isinstance(body, Mapping):
        raise rule("body", "must be a JSON object", type(body).__name__)
    unknown = [name for name in body if name not in known]
    if unknown:
        raise unknown_name("field", str(unknown[0]), known)


def _check_count(name: str, value: Any, bounds: Bounds) -> None:
    """Refuse more than the bounds allow, before anything is made of it."""
    if value is None:
        return
    if not isinstance(value, list):
        raise rule(name, "must be a list", value)
    lists = [one for one in value if isinstance(one, list)]
    if lists and len(lists) > bounds.queries:
        raise rule(name, f"must have at most {bounds.queries} queries", str(len(lists)))
    longest = max((len(one) for one in lists), default=len(value))
    if name == "candidates" and longest > bounds.candidates:
        raise rule(name, f"must have at most {bounds.candidates} candidates", str(longest))


def _list(value: Any, name: str, bounds: Bounds) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise rule(name, "must be a list of at least one text", value)
    if len(value) > bounds.candidates:
        raise rule(name, f"must have at most {bounds.candidates} entries", str(len(value)))
    return value


def _text(one: Any, place: int, name: str) -> str:
    text = one.get("text") if isinstance(one, Mapping) else one
    if not isinstance(text, str):
        raise rule(name, "must hold texts, or objects with a 'text'", f"{one!r} at place {place}")
    return text
