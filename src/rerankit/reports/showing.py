"""`show`: single queries with what they asked and what they got, before and after."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import IntArray
from rerankit.bench.examples import Example, example, moved
from rerankit.display import Faces
from rerankit.errors import rule, several
from rerankit.files import atomic, check_free
from rerankit.metrics import evaluate
from rerankit.metrics.lists import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance, agreeing
from rerankit.reports.drawing import save_queries
from rerankit.reports.page import render_queries

_FEW = 3
"""So many queries are shown where nothing says which."""


@dataclass(frozen=True, repr=False)
class Sheet:
    """Queries with their first candidates before and after."""

    examples: tuple[Example, ...]
    judged: bool
    """Whether it is known which candidates are right."""

    def save(self, path: str | os.PathLike[str], theme: str = "light", *, overwrite: bool = False) -> Path:
        """Write a picture (.png, .svg, .pdf) or a self-contained page (.html)."""
        target = Path(path)
        check_free(target, overwrite=overwrite)
        if target.suffix == ".html":
            with atomic(target, overwrite=overwrite) as temporary:
                temporary.write_text(render_queries(self.examples), encoding="utf-8")
            return target
        if target.suffix not in (".png", ".svg", ".pdf"):
            raise rule("path", "must end in .png, .svg, .pdf or .html", str(path))
        return save_queries(self.examples, target, theme)

    def __len__(self) -> int:
        return len(self.examples)

    def __repr__(self) -> str:
        return f"Sheet({', '.join(each.query.name for each in self.examples)})"

    def _repr_html_(self) -> str:
        return render_queries(self.examples, whole=False)


def show(
    problem: Problem,
    after: Ranking,
    queries: Sequence[Any] | None = None,
    *,
    before: Ranking | None = None,
    relevance: Relevance | None = None,
    k: int = 8,
) -> Sheet:
    """Queries with their first k candidates before and after, with the texts and pictures that the problem has.

    after: any stage's answer; before: the problem's own order by default.
    queries: rows, or ids of queries; by default those that moved most where `relevance` says what is right, else the
    first few. Items that the relevance leaves out are not shown.

    >>> problem = Problem([[0.9, 0.8], [0.2, 0.1]], query_ids=["cat", "dog"])
    >>> sheet = show(problem, problem.ranking().with_scores([[0.1, 0.5], [0.5, 0.1]]), ["cat"])
    >>> sheet
    Sheet(cat)
    >>> [candidate.face.name for candidate in sheet.examples[0].after]
    ['1', '0']
    """
    k = checks.integer("k", k, least=1)
    first = problem.ranking(min(max(k, after.shape[1]), problem.shape[1])) if before is None else before
    for name, ranking in (("after", after), ("before", first)):
        if (len(ranking), ranking.gallery_size) != problem.shape:
            got = f"{len(ranking)} × {ranking.gallery_size}"
            raise rule(name, f"must be of the problem's {problem.shape[0]} queries and {problem.shape[1]} items", got)
    judged = relevance is not None
    known = (
        Relevance([], [], problem.shape)
        if relevance is None
        else agreeing("relevance", relevance, problem.shape, problem.excluded)
    )
    lists, ranks = (first, after), (_ranks(first, known, judged), _ranks(after, known, judged))
    rows = _chosen(problem, queries, ranks) if queries is not None or judged else range(min(_FEW, len(after)))
    faces = Faces(problem, "query"), Faces(problem, "gallery")
    return Sheet(tuple(example(int(row), faces, known, lists, ranks, k) for row in rows), judged)


def _ranks(ranking: Ranking, relevance: Relevance, judged: bool) -> FloatArray:
    found = evaluate(ranking, relevance, ["mrr"], empty="skip").ranks if judged else None
    return np.full(len(ranking), np.nan) if found is None else found


def _chosen(problem: Problem, queries: Sequence[Any] | None, ranks: tuple[FloatArray, FloatArray]) -> IntArray:
    if queries is None:
        return moved(*ranks)
    ids = None if problem.query_ids is None else {str(name): row for row, name in enumerate(problem.query_ids.tolist())}
    rows = [_row(each, ids, problem.shape[0]) for each in queries]
    unknown = [each for each, row in zip(queries, rows, strict=True) if row is None]
    if unknown:
        what = "rows or ids" if ids is not None else f"rows, 0…{problem.shape[0] - 1},"
        raise rule("queries", f"must be {what} of the problem's queries", several("unknown", unknown, len(rows)))
    return np.array(rows, np.int64)


def _row(given: Any, ids: dict[str, int] | None, count: int) -> int | None:
    """The row of a query: of its id where there are ids, else the number itself."""
    if ids is not None and str(given) in ids:
        return ids[str(given)]
    number = int(given) if str(given).isdigit() else -1
    return number if 0 <= number < count else None
