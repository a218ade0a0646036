"""Composed retrieval tasks as one problem to train on."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.errors import InputError
from rerankit.problem import Problem
from rerankit.relevance import Relevance
from rerankit.tasks.base import Benchmark


def judged_problem(benchmark: Benchmark) -> tuple[Problem, Relevance]:
    """All queries of a benchmark over the union of its galleries, and what is right for them.

    The first-stage scores are zeros that take no memory. Queries of several parts are named "part/id".
    """
    if not benchmark.parts:
        raise InputError(f"split '{benchmark.task.card.split}' of task '{benchmark.task.card.name}' has no targets")
    matrices = [(part.name, benchmark.matrices[part.matrix]) for part in benchmark.parts]
    names = list(dict.fromkeys(name for _, matrix in matrices for name in matrix.gallery_ids))
    place = {name: column for column, name in enumerate(names)}
    several = len(matrices) > 1
    ids = [f"{part}/{query}" if several else query for part, matrix in matrices for query in matrix.query_ids]
    queries = {
        name: [value for _, matrix in matrices for value in matrix.query_features[name]]
        for name in matrices[0][1].query_features
    }
    paths: dict[Any, Any] = {}
    for _, matrix in matrices:
        if "candidate_path" in matrix.gallery_features:
            paths |= zip(matrix.gallery_ids, matrix.gallery_features["candidate_path"], strict=True)
    problem = Problem.from_embeddings(
        np.zeros((len(ids), 1), np.float32),
        np.zeros((len(names), 1), np.float32),
        metric="dot",
        query_ids=ids,
        gallery_ids=names,
        query_features=queries,
        gallery_features={"candidate_path": [paths[name] for name in names]} if paths else None,
    )
    right, out = [], []
    for part in benchmark.parts:
        columns = [place[name] for name in benchmark.matrices[part.matrix].gallery_ids]
        for row in range(part.relevance.shape[0]):
            about = part.relevance.of(row)
            right.append([columns[item] for item in about.items.tolist()])
            out.append([columns[item] for item in about.excluded.tolist()])
    return problem, Relevance.from_lists(right, len(names), exclude=out)
