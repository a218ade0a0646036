"""Banks from files: a matrix of scores, vectors, the parts of a bank by name, or a problem of other queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rerankit import checks
from rerankit.bank import Bank
from rerankit.errors import FormatError, InputError, several
from rerankit.formats.content import Tables, Triples
from rerankit.formats.files import AnyPath, content_of
from rerankit.formats.scores import to_scores
from rerankit.formats.tables import BANK_PARTS, natural_kind, to_problem
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, ListScores
from rerankit.sides import SideName
from rerankit.triples import to_lists


def with_bank(problem: Problem, path: AnyPath, side: SideName) -> Problem:
    """The problem with the bank of a file on one of its sides.

    One matrix holds the bank's scores, (bank, gallery) on the side of the queries and (bank, queries) on the other, or
    vectors where the problem has vectors. Named arrays are the parts `to_gallery`, `to_queries` and `to_bank`, or a
    problem between other queries (other gallery items) and the same gallery (queries), whose scores are the bank.
    Lines are other queries' lists: items that the problem does not have are left out.
    """
    place = Path(path)
    content = content_of(place)
    if isinstance(content, Triples) and side == "gallery":
        raise FormatError(f"{place}: lines are no bank of items: give a matrix of scores, vectors, or a problem")
    try:
        if isinstance(content, Triples):
            bank = _of_lines(problem, content)
        elif not isinstance(content, Tables):
            bank = _of_matrix(problem, content, side)
        elif natural_kind(content) == "problem":
            bank = _of_problem(problem, to_problem(content), side)
        else:
            for name in content:
                checks.choice("part of a bank", name.partition("/")[0], BANK_PARTS)
            bank = Bank(**{part: to_scores(part, content) for part in BANK_PARTS})
        return problem.with_banks(**{f"{side}_bank": bank})
    except FormatError:
        raise
    except InputError as error:
        raise FormatError(f"{place}: {error}") from error


def _of_matrix(problem: Problem, matrix: Any, side: SideName) -> Bank:
    """A bank of one matrix: vectors or scores, by its width."""
    others = problem.shape[1 if side == "query" else 0]
    scores = problem.scores
    vectors = isinstance(scores, EmbeddingScores) and scores.queries.shape[1]
    width = matrix.shape[1] if matrix.ndim == 2 else None
    if width is None or width not in {others, vectors}:
        either = f" or {vectors}, as its vectors have" if vectors else ""
        raise InputError(f"a bank must have {others} columns, as the other side has items{either} (got {matrix.shape})")
    if width == others and width == vectors:
        raise InputError(f"{width} columns may be vectors or scores: give named arrays, to_gallery or to_queries")
    if width == vectors:
        assert isinstance(scores, EmbeddingScores)
        return Bank.from_embeddings(matrix, scores)
    return Bank(to_gallery=matrix) if side == "query" else Bank(to_queries=matrix)


def _of_lines(problem: Problem, lines: Triples) -> Bank:
    """A bank of other queries' lists, by the problem's ids, or by the numbers of its items where it has none."""
    ids = range(problem.shape[1]) if problem.gallery_ids is None else problem.gallery_ids.tolist()
    names = [str(name) for name in ids]
    known = set(names)
    kept = [place for place, item in enumerate(lines.items) if str(item) in known]
    if not kept:
        got = several("that are none of them", list(dict.fromkeys(lines.items)))
        raise InputError(f"lines of a bank must name the problem's items (got {got})")
    mine = Triples([lines.queries[at] for at in kept], [lines.items[at] for at in kept], lines.values[kept], lines.what)
    found = to_lists(mine, None, names)
    return Bank(to_gallery=ListScores(found.indices, found.scores, len(names)))


def _of_problem(problem: Problem, other: Problem, side: SideName) -> Bank:
    """A bank of another problem's queries (or, on the other side, gallery items) between it and the same items."""
    mine = problem.gallery_ids if side == "query" else problem.query_ids
    theirs = other.gallery_ids if side == "query" else other.query_ids
    if mine is not None and theirs is not None and mine != theirs:
        raise InputError("a problem that is a bank must have the same other side, with the same ids in the same order")
    if isinstance(problem.scores, EmbeddingScores) and isinstance(other.scores, EmbeddingScores):
        vectors = other.scores.queries if side == "query" else other.scores.gallery
        return Bank.from_embeddings(vectors, problem.scores)
    if side == "query":
        return Bank(to_gallery=other.scores, to_bank=other.query_scores)
    return Bank(to_queries=other.scores.T, to_bank=other.gallery_scores)
