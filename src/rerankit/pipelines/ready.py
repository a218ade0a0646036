"""Galleries that stand ready: a stage is prepared once, and one query is answered at the price of the query alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.bank import Bank
from rerankit.errors import InputError, UnmetNeedError, rule
from rerankit.gallery import Gallery
from rerankit.item_lists import item_rows
from rerankit.pipelines.finding import KnownNearest, served_by
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.prepared import Prepared
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores


class Ready:
    """A gallery with a pipeline that is prepared for it. Nothing in it changes, so threads may share it.

    >>> from rerankit import Gallery, prepare
    >>> gallery = Gallery([[1.0, 0.0], [0.6, 0.8]], ids=["cat", "dog"], bank=[[1.0, 0.1], [0.9, 0.2]])
    >>> prepare("nnn", gallery).rerank([0.8, 0.6], k=2).to_dict()
    {0: {'dog': 1.031521, 'cat': 0.72847915}}
    """

    def __init__(self, gallery: Gallery, pipeline: Pipeline, prepared: Prepared) -> None:
        self.gallery, self.pipeline, self.prepared = gallery, pipeline, prepared

    def rerank(
        self,
        queries: Any = None,
        *,
        candidates: Any = None,
        scores: Any = None,
        k: int | None = 100,
        ids: Any = None,
        features: Mapping[str, Any] | None = None,
        exclude: Any = None,
        bank_scores: Any = None,
        extra_scores: Mapping[str, Any] | None = None,
        nearest: bool = False,
    ) -> Ranking:
        """The nearest k items of one query (d,) or of several (queries, d), searched exactly and re-ranked.

        No item comes from behind these k: for the best ten, take `.top(10)` of a hundred.

        With `candidates` (lists by id or row, best first) no candidates are searched, and `scores` are those with which
        they were found; without `queries`, `scores` are rows (queries, items), or those of the candidates. `nearest`
        says that candidates are the queries' nearest of all items, as a search finds them: stages that look for a
        query's own neighbours then look there, and pass over no gallery. `features`, `ids` and `exclude` are the
        queries', as in a `Problem`; `bank_scores` (queries, bank) compare queries with the bank where no vectors do.
        """
        of_queries = {"ids": ids, "features": features, "exclude": exclude}
        of_pairs = {"bank_scores": bank_scores, "extra_scores": extra_scores}
        found = self.search(
            queries, candidates=candidates, scores=scores, k=k, nearest=nearest, **of_queries, **of_pairs
        )
        return self.answer(*found)

    def _knowing(self, problem: Problem, candidates: Any) -> Problem:
        """The problem, whose scores know that candidates are the first of all items."""
        if candidates is None or not isinstance(problem.scores, EmbeddingScores):
            raise InputError("nearest=True needs queries as vectors, and candidates=…: their nearest items of all")
        rows = item_rows(candidates, self.gallery.ids, self.gallery.size, "candidates")
        if (rows < 0).any():
            raise rule("candidates", "must be lists of one length where they are the nearest items", "shorter ones")
        return problem.from_checked(**{**problem.__dict__, "scores": problem.scores.knowing(rows)})

    def search(
        self,
        queries: Any = None,
        *,
        candidates: Any = None,
        scores: Any = None,
        k: int | None = 100,
        nearest: bool = False,
        **more: Any,
    ) -> tuple[Problem, Ranking]:
        """What `answer` puts in order: the queries as a problem, and the first k items of each as they were found."""
        problem = self.gallery.problem(queries, candidates=candidates, scores=scores, **more)
        if checks.boolean("nearest", nearest):
            problem = self._knowing(problem, candidates)
        return problem, self.gallery.ranking(problem, candidates, scores, k)

    def answer(self, problem: Problem, ranking: Ranking) -> Ranking:
        """The same for queries that are a problem already, `gallery.problem(…)` or part of one with this gallery."""
        told = isinstance(problem.scores, EmbeddingScores) and problem.scores.told
        try:
            with served_by(KnownNearest()) if told else nullcontext():
                return self.prepared.rerank(problem, ranking)
        except UnmetNeedError as cause:
            faults = [fault.standing for fault in self.pipeline.unmet(problem)]
            raise UnmetNeedError("\n".join(faults) or str(cause)) from cause

    def updated(self, *, add: Any = None, remove: Any = None, bank: Any = None) -> Ready:
        """The same for a gallery without the items `remove` (ids or rows), with those of `add` (a `Gallery`, or
        vectors) behind the others, or with another bank. `info` says what it costs, and whether it is exact.
        """
        from rerankit.pipelines.changes import changed

        change = changed(self.gallery, add, remove)
        if bank is not None:
            return ready_for(self.pipeline, change.gallery.with_bank(bank))
        return Ready(change.gallery, self.pipeline, self.prepared.updated(change))

    def info(self) -> list[dict[str, Any]]:
        """For every stage, and those inside it, what is prepared, its bytes, what an update costs, if it is exact.

        >>> from rerankit import Gallery, prepare
        >>> prepare("nnn", Gallery([[1.0, 0.0], [0.6, 0.8]], bank=[[1.0, 0.1]])).info()[0]["update"]
        'its items alone'
        """
        return [row for one in self.prepared.children for row in _info(one, 0)]

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write everything into a folder, which `rerankit.load` maps: several processes share one copy in memory."""
        from rerankit.pipelines.ready_files import save_ready

        save_ready(self, folder, overwrite=overwrite)

    def __repr__(self) -> str:
        return f"Ready({self.pipeline!r}, {self.gallery!r})"


def _info(one: Prepared, depth: int) -> Iterator[dict[str, Any]]:
    yield {
        "stage": repr(one.stage),
        "depth": depth,
        "keeps": one.keeps,
        "bytes": one.state().bytes,
        "update": "its items alone" if one.by_item else "all is prepared again",
        "exact": one.exact,
    }
    for child in one.children:
        yield from _info(child, depth + 1)


def ready_for(pipeline: Pipeline, gallery: Gallery) -> Ready:
    """A pipeline prepared for a gallery; what it needs and the gallery has not is refused (see `rerankit.prepare`)."""
    check_standing(pipeline, gallery)
    return Ready(gallery, pipeline, pipeline.prepare(gallery))


def check_standing(pipeline: Pipeline, gallery: Gallery) -> None:
    """Refuse stages that need what the gallery has not, or that look at the queries under test."""
    probe = _probe(gallery)
    faults = []
    for one in pipeline.stages:
        faults += [fault.standing for fault in one.unmet(probe) if not fault.need.of_queries]
        faults += [_refusal(part, gallery, probe) for part in _looking_at_queries(one, probe)]
    if faults:
        raise UnmetNeedError("\n".join(faults))


def _probe(gallery: Gallery) -> Problem:
    """A problem of one query, of which only what it has matters."""
    known: dict[str, Any] = {}
    if gallery.bank is not None:
        known["bank_scores"] = np.zeros((1, gallery.bank.size))
    if gallery.embeddings is not None:
        return gallery.problem(gallery.embeddings.gallery[:1], **known)
    return gallery.problem(scores=np.zeros((1, gallery.size)), **known)


def _looking_at_queries(one: Stage, probe: Problem) -> list[Stage]:
    """The stages, inside a composite one, whose answers depend on other test queries."""
    inside = [part for child in one.children for part in _looking_at_queries(child, probe)]
    return inside or ([one] if one.looks_at(probe).queries else [])


def _refusal(one: Stage, gallery: Gallery, probe: Problem) -> str:
    text = f"stage '{one.name}' looks at the other test queries, and a gallery that stands ready has none"
    banked = probe.with_banks(query_bank=Bank(to_gallery=np.zeros((1, gallery.size))))
    if "bank" not in one.parameters() and one.looks_at(banked).queries:
        return f"{text}: use rerankit.rerank(problem, …) on all queries together{_or_lone(one)}"
    if getattr(one, "bank", None) is None and gallery.bank is None:
        return f"{text}: give Gallery(…, bank=…), vectors of old queries or a Bank{_or_lone(one)}"
    return f"{text}, with its parameters as they are ({one!r}): a bank must stand in the place of the queries"


def _or_lone(one: Stage) -> str:
    return "; with lone='pass' every query keeps its order" if "lone" in one.parameters() else ""
