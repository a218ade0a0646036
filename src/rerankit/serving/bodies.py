"""Bodies of requests as arguments, and rankings as bodies of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rerankit import checks
from rerankit.errors import InputError, rule
from rerankit.features import Feature, Pictures, Texts
from rerankit.pipelines.ready import Ready
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.serving.bounds import Bounds
from rerankit.serving.pictures import SentPicture, opened

_SEARCH = (
    *("query", "queries", "candidates", "scores", "k", "top_n", "ids", "features", "exclude"),
    *("bank_scores", "extra_scores", "nearest"),
)
_QUERIES = ("query", "queries", "text_1", "data_1")
_DOCUMENTS = ("documents", "texts", "text_2", "data_2")
_NO_MATTER = ("model", "truncate", "raw_scores", "max_tokens_per_doc", "max_chunks_per_doc", "encoding_format", "user")
_RERANK = (*_QUERIES, *_DOCUMENTS, "top_n", "return_documents", "return_text", *_NO_MATTER)


def search_arguments(body: Any, bounds: Bounds) -> dict[str, Any]:
    """The arguments of `Ready.rerank` in the body of `/search`, and how many items of its answer are sent, `top_n`.

    >>> search_arguments({"query": [1.0, 0.0], "k": 5}, Bounds())
    {'k': 5, 'queries': [1.0, 0.0], 'top_n': 5}
    """
    _check_fields(body, _SEARCH)
    given = dict(body)
    if "query" in given and "queries" in given:
        raise InputError("'query' and 'queries' cannot both be given")
    if "query" in given:
        given["queries"] = given.pop("query")
    given["k"] = checks.integer("k", given.get("k", min(100, bounds.candidates)), least=1, most=bounds.candidates)
    given["top_n"] = checks.integer("top_n", given.get("top_n", given["k"]), least=1)
    for name in ("queries", "candidates", "scores"):
        _check_count(name, given.get(name), bounds)
    return given


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of an object, none of which may be given twice: JSON's readers keep one of them, and not all the same.

    >>> each_once([("k", 1), ("query", [0.5])])
    {'k': 1, 'query': [0.5]}
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InputError(f"field '{twice}' must be given once in an object (got it twice or more)")
    return found


def ranking_body(ranking: Ranking) -> dict[str, Any]:
    """The answer of `/search`: for every query its items with their scores, best first."""
    names = ranking.to_dict()
    results = [
        {"query": query, "items": [{"id": item, "score": score} for item, score in items.items()]}
        for query, items in names.items()
    ]
    return {"results": results}


Item = str | SentPicture


@dataclass(frozen=True)
class Documents:
    """A query with documents to be put in order, as re-ranking services are asked; each of them a text or a picture."""

    query: Item
    documents: list[Item]
    top: int
    returned: bool
    pixels: int
    """The most that all pictures may have together."""

    @classmethod
    def of(cls, body: Any, bounds: Bounds) -> Documents:
        """From a body in the form of Jina, Cohere, vLLM, TEI or Weaviate."""
        _check_fields(body, _RERANK)
        query_names, document_names = ([name for name in names if name in body] for names in (_QUERIES, _DOCUMENTS))
        if len(query_names) != 1:
            raise InputError(f"'query' must be given once (got {', '.join(query_names) or 'none'})")
        if len(document_names) != 1:
            raise InputError("'documents' (or 'texts') must be given (got none or both)")
        given = _list(body[document_names[0]], document_names[0], bounds)
        documents = [_item(one, f"{document_names[0]}[{place}]") for place, one in enumerate(given)]
        if len({isinstance(one, str) for one in documents}) > 1:
            raise rule(document_names[0], "must be texts alone or pictures alone", "both")
        top = checks.integer("top_n", body.get("top_n") or len(documents), least=1)
        returned = bool(body.get("return_documents", False) or body.get("return_text", False))
        query = _item(body[query_names[0]], query_names[0])
        return cls(query, documents, min(top, len(documents)), returned, bounds.pixels)

    def ranked(self, ready: Ready) -> Ranking:
        """The documents in the order of the pipeline, which must read features of both sides and nothing else."""
        needs = [need for one in ready.pipeline.stages for need in one.needs if need != "weights"]
        names: dict[str, list[str]] = {"query_features": [], "gallery_features": []}
        for need in needs:
            kind, _, name = need.partition(":")
            if kind not in names:
                raise InputError(f"this service's pipeline needs {need}, which documents do not have: use /search")
            names[kind].append(name.partition("|")[0])
        if not names["gallery_features"]:
            raise InputError("this service's pipeline reads nothing of documents: use /search")
        values = dict(zip(names, self._features(), strict=True))
        features: dict[str, Any] = {kind: dict.fromkeys(each, values[kind]) for kind, each in names.items()}
        problem = Problem([[-float(place) for place in range(len(self.documents))]], **features)
        return ready.pipeline.rerank(problem, problem.ranking())

    def _features(self) -> tuple[Feature, Feature]:
        """What the query and the documents say."""
        sent = [one for one in (self.query, *self.documents) if isinstance(one, SentPicture)]
        pictures = iter(opened(sent, self.pixels))
        sides: list[list[Item]] = [[self.query], self.documents]
        query, documents = (
            Texts(side) if isinstance(side[0], str) else Pictures([next(pictures) for _ in side]) for side in sides
        )
        return query, documents

    def results(self, ranking: Ranking) -> list[dict[str, Any]]:
        """The first documents with their places in the request and scores."""
        pairs = zip(ranking.indices[0, : self.top].tolist(), ranking.scores[0, : self.top].tolist(), strict=True)
        return [self._result(index, score) for index, score in pairs]

    def as_sent(self, index: int) -> str:
        """A document as it came: its text, or its data URL."""
        one = self.documents[index]
        return one if isinstance(one, str) else one.url

    def _result(self, index: int, score: float) -> dict[str, Any]:
        found: dict[str, Any] = {"index": index, "relevance_score": score}
        kind = "text" if isinstance(self.documents[index], str) else "image"
        return {**found, "document": {kind: self.as_sent(index)}} if self.returned else found


def _check_fields(body: Any, known: Sequence[str]) -> None:
    if not isinstance(body, Mapping):
        raise rule("body", "must be a JSON object", type(body).__name__)
    for name in body:
        checks.choice("field", name, known)


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
    """A list of documents; vLLM's object has one in each part of its content."""
    if isinstance(value, Mapping) and isinstance(value.get("content"), list):
        value = [{"content": [part]} for part in value["content"]]
    if not isinstance(value, list) or not value:
        raise rule(name, "must be a list of at least one document", value)
    if len(value) > bounds.candidates:
        raise rule(name, f"must have at most {bounds.candidates} entries", str(len(value)))
    return value


def _item(one: Any, where: str) -> Item:
    """A text, or a picture as Jina's clients send it (`image`), or vLLM's (`content` with one part)."""
    part = one
    if isinstance(one, Mapping) and isinstance(one.get("content"), list) and len(one["content"]) == 1:
        part = one["content"][0]
    if isinstance(part, Mapping):
        document_names = [name for name in ("text", "image", "image_url") if isinstance(part.get(name), str | Mapping)]
        part = part[document_names[0]] if len(document_names) == 1 else None
        if document_names in (["image"], ["image_url"]):
            url = part.get("url") if isinstance(part, Mapping) else part
            if isinstance(url, str):
                return SentPicture(url, where)
    if not isinstance(part, str):
        raise rule(where, "must be a text, an object with a 'text' or an 'image', or with 'content' of one part", one)
    return part
