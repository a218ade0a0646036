"""What tests draw: matrices with ties and without, and small random problems."""

from __future__ import annotations

import inspect

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rerankit
import rerankit.plugins

# Scores of which all are nearer to 0 than 1e-35 are refused.
VALUES = st.floats(-5, 5, width=32, allow_subnormal=False).map(lambda value: value if abs(value) > 1e-30 else 0.0)
LEVELS = st.sampled_from(np.float32([-1, 0, 0.5, 2]).tolist())


def matrices(rows: int = 6, columns: int = 7, elements: st.SearchStrategy[float] = LEVELS):
    """Score matrices up to rows × columns; by default with many ties."""
    shape = st.tuples(st.integers(1, rows), st.integers(1, columns))
    return shape.flatmap(lambda size: hnp.arrays(np.float32, size, elements=elements))


def distinct(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """A matrix in which no two scores are equal."""
    values = np.random.default_rng(seed).permutation(rows * columns).reshape(rows, columns)
    return (values / (rows * columns)).astype(np.float32)


def full_problem(queries: int = 6, items: int = 9, width: int = 4, seed: int = 0) -> rerankit.Problem:
    """A dense problem with all four relations, made from random vectors."""
    generator = np.random.default_rng(seed)
    left, right = (generator.normal(size=(count, width)).astype(np.float32) for count in (queries, items))
    return rerankit.Problem(left @ right.T, query_scores=left @ left.T, gallery_scores=right @ right.T)


def naive_topk(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The tie rule written the slow way; −inf cells are absent."""
    k = min(k, scores.shape[1])
    indices, values = np.full((len(scores), k), -1), np.full((len(scores), k), -np.inf, np.float32)
    for row, line in enumerate(scores):
        present = [column for column in range(len(line)) if np.isfinite(line[column])]
        for place, column in enumerate(sorted(present, key=lambda c: (-line[c], c))[:k]):
            indices[row, place], values[row, place] = column, line[column]
    return indices, values


def people(queries: int = 20, gallery: int = 60, identities: int = 8, width: int = 16, seed: int = 0):
    """Unit vectors of noisy identities, on the queries' and the gallery's side."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(identities, width))
    sides = [centres[random.integers(identities, size=n)] for n in (queries, gallery)]
    sides = [side + 0.6 * random.normal(size=side.shape) for side in sides]
    return [np.float32(side / np.linalg.norm(side, axis=1, keepdims=True)) for side in sides]


def asked_again(queries: int, gallery: int, seed: int) -> rerankit.Problem:
    """Queries whose bank asks three times for every item, so that it may speak for the order."""
    random = np.random.default_rng(seed)
    items = random.normal(size=(gallery, 24))
    bank = np.repeat(items, 3, axis=0) + 0.6 * random.normal(size=(3 * gallery, 24))
    asked = items[random.integers(gallery, size=queries)] + 0.6 * random.normal(size=(queries, 24))
    return rerankit.Problem.from_embeddings(asked, items, query_bank=bank)


def stages_without_arguments() -> list[str]:
    """All registered stages that can be made by their name alone; others wrap a stage, or name a model or a service."""
    entries = rerankit.plugins.manager().stages
    factories = {name: inspect.signature(entries.entry(name).load()).parameters for name in rerankit.stages_available()}
    return [name for name, taken in factories.items() if all(one.default is not one.empty for one in taken.values())]
