"""Problems for the checks: one maker, and the forms that one problem can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.bank import Bank
from rerankit.pipelines.needs import BANKS
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.scores import DenseScores, ListScores, normalised

ProblemMaker: TypeAlias = Callable[[int, int, int], Problem]
"""`(queries, gallery, seed) -> Problem` of that shape, with everything the stage needs."""

_WIDTH = 6  # of the vectors behind the made scores
RELATIONS = ("query_scores", "gallery_scores")


def make_problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    """A small random problem (queries, gallery) with all three matrices and both banks absent.

    >>> make_problem(3, 5)
    Problem(3 queries × 5 items, with query_scores, gallery_scores)
    """
    random = np.random.default_rng(seed)
    left, right = (normalised(random.normal(size=(count, _WIDTH))) for count in (queries, gallery))  # type: ignore[arg-type]
    return Problem(left @ right.T, query_scores=left @ left.T, gallery_scores=right @ right.T)


def with_banks(problem: Problem, seed: int = 0, size: int = 20) -> Problem:
    """The problem with a bank of other items on each side, unless it has one."""
    random = np.random.default_rng(seed + 1000)
    queries, items = problem.shape
    made = {}
    for side in ("query_bank", "gallery_bank"):
        vectors = random.uniform(-1, 1, size=(size, queries + items)).astype(np.float32)
        among = vectors @ vectors.T / np.float32(queries + items)
        parts = {"to_gallery": vectors[:, :items], "to_queries": vectors[:, items:], "to_bank": among}
        made[side] = getattr(problem, side) or Bank(**parts)
    return problem.with_banks(**made)


def rebuilt(problem: Problem, **changes: Any) -> Problem:
    """The problem with some of its parts exchanged; None takes a relation away."""
    parts: dict[str, Any] = {
        "scores": problem.scores,
        "query_scores": problem.query_scores,
        "gallery_scores": problem.gallery_scores,
        "query_ids": problem.query_ids,
        "gallery_ids": problem.gallery_ids,
        "extra_scores": problem.extra_scores,
        "query_features": problem.query_features,
        "gallery_features": problem.gallery_features,
        "query_bank": problem.query_bank,
        "gallery_bank": problem.gallery_bank,
        "exclude": problem.excluded,
    }
    parts |= changes
    return Problem(parts.pop("scores"), **parts)


def bare(problem: Problem, stage: Stage, without: str = "") -> Problem:
    """The problem with nothing but what the stage says it needs, less the need `without`."""
    kept = [need for need in stage.needs if need != without]
    changes: dict[str, Any] = {"query_ids": None, "gallery_ids": None}
    for part in ("extra_scores", "query_features", "gallery_features"):
        wanted = {name for need in kept if need.startswith(f"{part}:") for name in need.partition(":")[2].split("|")}
        changes[part] = {name: value for name, value in getattr(problem, part).items() if name in wanted}
    for part in (*RELATIONS, *BANKS):
        changes[part] = getattr(problem, part) if any(need.partition(":")[0] == part for need in kept) else None
    part, _, names = without.partition(":")
    if part in BANKS and names:
        changes[part] = _without(getattr(problem, part), names.split("|"))
    if without == "complete_scores":
        changes["scores"] = as_lists(problem.scores.rows())
    elif "embeddings" in kept:
        changes["scores"] = problem.scores
    else:
        changes["scores"] = problem.scores.rows()  # embeddings would bring the relations along
    return rebuilt(problem, **changes)


def _without(bank: Bank, names: list[str]) -> Bank | None:
    """A bank that does not know some of its similarities; None where it then knows none."""
    parts = {name: getattr(bank, name) for name in ("to_gallery", "to_queries", "to_bank") if name not in names}
    facing = [parts.get(name) for name in ("to_gallery", "to_queries")]
    return None if all(part is None for part in facing) else Bank(**parts)


def as_lists(matrix: FloatArray) -> ListScores:
    """The better half of every row, as top-k lists; odd rows are one shorter, so that there is padding."""
    k = (matrix.shape[1] + 1) // 2
    indices, scores = DenseScores(matrix).topk(k)
    if k > 1:
        indices, scores = indices.copy(), scores.copy()
        indices[1::2, -1], scores[1::2, -1] = -1, -np.inf
    return ListScores(indices, scores, matrix.shape[1])


def forms(problem: Problem, folder: Path) -> Iterator[tuple[str, Problem, Problem]]:
    """Name, the problem in another form, and the same numbers as plain float32 matrices."""
    for dtype in (np.float16, np.float64):
        form = _matrices(problem, lambda matrix, dtype=dtype: matrix.astype(dtype))  # type: ignore[misc]
        yield f"{np.dtype(dtype)} matrices", form, _matrices(form, np.float32)
    count = iter(range(9))

    def mapped(matrix: FloatArray) -> Any:
        path = folder / f"{next(count)}.npy"
        np.save(path, matrix)
        return np.load(path, mmap_mode="r")

    yield "memory maps", _matrices(problem, mapped), problem
    yield "Fortran-ordered matrices", _matrices(problem, np.asfortranarray), problem
    if find_spec("torch") is not None:
        import torch

        yield "tensors", _matrices(problem, lambda matrix: torch.tensor(matrix)), problem
        half = _matrices(problem, lambda matrix: torch.tensor(matrix, dtype=torch.bfloat16))
        yield "bfloat16 tensors", half, _matrices(half, np.float32)
    yield from _embeddings(problem)


def _embeddings(problem: Problem) -> Iterator[tuple[str, Problem, Problem]]:
    # Small whole numbers: their products are exact in float32, so computing them late cannot change a bit.
    random = np.random.default_rng(7)
    left, right = (random.integers(-9, 10, size=(count, 8)).astype(np.float32) for count in problem.shape)
    # Others show whether a stage takes them for whole numbers, or loses digits of them.
    whole = Problem.from_embeddings(left, right, "dot")
    some, others = (random.normal(size=(count, 8)) for count in problem.shape)
    rough = Problem.from_embeddings(some, others)
    for name, made in (("embeddings", whole), ("float embeddings", rough)):
        late = rebuilt(problem, scores=made.scores, query_scores=None, gallery_scores=None)
        yield name, late, _matrices(late, np.float32)


def _matrices(problem: Problem, change: Callable[[FloatArray], Any]) -> Problem:
    relations = {name: getattr(problem, name) for name in RELATIONS}
    changed = {name: None if given is None else change(given.rows()) for name, given in relations.items()}
    return rebuilt(problem, scores=change(problem.scores.rows()), **changed)
