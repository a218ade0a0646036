"""The words in which a stage says what it needs, and the check of a problem against them.

=========================  =====================================================================
``query_scores``           similarities among the queries
``gallery_scores``         similarities among the gallery items
``embeddings``             scores that are computed from vectors of both sides
``complete_scores``        a score for every pair, not top-k lists
``query_bank``             other queries, known beforehand (`Problem.with_banks`)
``gallery_bank``           other gallery items, known beforehand
``query_features:NAME``    a feature with one entry per query
``gallery_features:NAME``  a feature with one entry per gallery item
``…_features:ONE|OTHER``   either of the two
``extra_scores:NAME``      further scores between the same sides
``weights``                a fitted stage (`fit`, or `rerankit.load`)
=========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rerankit.errors import InputError, unknown_name
from rerankit.scores import EmbeddingScores

if TYPE_CHECKING:
    from rerankit.problem import Problem
    from rerankit.stages.base import Stage

_HOW = {
    "query_scores": "give Problem(…, query_scores=…), a (queries, queries) matrix, or use Problem.from_embeddings",
    "gallery_scores": "give Problem(…, gallery_scores=…), a (gallery, gallery) matrix, or use Problem.from_embeddings",
    "embeddings": "use Problem.from_embeddings(queries, gallery), or give EmbeddingScores",
    "complete_scores": "give a matrix or embeddings; top-k lists leave most pairs without a score",
    "query_bank": "give Problem(…, query_bank=rerankit.Bank(…)), other queries that are not under test",
    "gallery_bank": "give Problem(…, gallery_bank=rerankit.Bank(…)), other gallery items that are not under test",
    "weights": "call its fit(…), or load a fitted one with rerankit.load(folder)",
}
_MET: dict[str, Callable[[Stage, Problem], bool]] = {
    "query_scores": lambda stage, problem: problem.query_scores is not None,
    "gallery_scores": lambda stage, problem: problem.gallery_scores is not None,
    "embeddings": lambda stage, problem: isinstance(problem.scores, EmbeddingScores),
    "complete_scores": lambda stage, problem: problem.scores.complete,
    "query_bank": lambda stage, problem: problem.query_bank is not None,
    "gallery_bank": lambda stage, problem: problem.gallery_bank is not None,
    "weights": lambda stage, problem: stage.fitted,
}


def unmet(stage: Stage, problem: Problem) -> list[str]:
    """One line for each need the problem does not meet, saying how to provide it."""
    if not stage.name:
        raise InputError(f"stage class {type(stage).__name__} must have a 'name'")
    needs: object = stage.needs
    if isinstance(needs, str):  # it would be read letter by letter
        raise InputError(f"'needs' of stage '{stage.name}' must be a tuple of texts (got the text {needs!r})")
    return [unmet_line(stage, need) for need in stage.needs if not _is_met(need, stage, problem)]


def lines_of_queries(stage: Stage, problem: Problem) -> list[str]:
    """Those of the lines of `unmet` that the queries can meet, in the problem that brings them."""
    brought = [need for need in stage.needs if need.startswith(("query_features:", "query_scores", "extra_scores:"))]
    return [unmet_line(stage, need) for need in brought if not _is_met(need, stage, problem)]


def unmet_line(stage: Stage, need: str) -> str:
    """What is said of a need that is not met."""
    return f"stage '{stage.name}' needs {need}: {_how(need)}"


def _is_met(need: str, stage: Stage, problem: Problem) -> bool:
    kind, _, name = need.partition(":")
    if kind in ("query_features", "gallery_features") and name:
        features = problem.query_features if kind == "query_features" else problem.gallery_features
        return any(each in features for each in name.split("|"))
    if kind == "extra_scores" and name:
        return name in problem.extra_scores
    if need not in _MET:
        raise unknown_name("need", need, [*_MET, "query_features:NAME", "gallery_features:NAME", "extra_scores:NAME"])
    return _MET[need](stage, problem)


def _how(need: str) -> str:
    kind, _, name = need.partition(":")
    if not name:
        return _HOW[need]
    what = "a matrix (queries, gallery)" if kind == "extra_scores" else "one entry for each item"
    return f"give Problem(…, {kind}={{'{name.partition('|')[0]}': …}}), {what}"
