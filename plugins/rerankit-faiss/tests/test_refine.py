"""The stage, which needs no FAISS, and the hooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rerankit_faiss
from rerankit import Problem, errors, rerank
from rerankit.testing import STAGE_CHECKS, make_problem
from rerankit_faiss.refine import Refine


def problem_with_vectors(queries: int, gallery: int, seed: int) -> Problem:
    random = np.random.default_rng(seed)
    problem = make_problem(queries, gallery, seed)
    vectors = {name: {"vectors": random.normal(size=(count, 5))} for name, count in (("q", queries), ("g", gallery))}
    return problem.with_features(query_features=vectors["q"], gallery_features=vectors["g"])


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Any) -> None:
    check(Refine, problem_with_vectors)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_scores_are_those_of_the_vectors(metric: str) -> None:
    random = np.random.default_rng(0)
    queries, gallery = random.normal(size=(4, 6)), random.normal(size=(30, 6))
    features = {"query_features": {"vectors": queries}, "gallery_features": {"vectors": gallery}}
    found = rerank(Problem(random.normal(size=(4, 30)), **features), Refine(metric), k=None)
    exact = Problem.from_embeddings(queries, gallery, metric=metric).ranking()
    assert np.array_equal(found.indices, exact.indices)
    scores = -np.square(exact.scores) if metric == "euclidean" else exact.scores
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5, atol=1e-6)
    with pytest.raises(errors.InputError, match="unknown metric 'l3'"):
        Refine("l3")
    texts = Problem([[1.0]], query_features={"vectors": ["a"]}, gallery_features={"vectors": [[1.0]]})
    with pytest.raises(errors.StageError, match=r"'query_features\['vectors'\]' must be vectors \(items, d\)"):
        rerank(texts, Refine())
    wide = Problem([[1.0]], query_features={"vectors": [[1.0, 2.0]]}, gallery_features={"vectors": [[1.0]]})
    with pytest.raises(errors.StageError, match="must have the gallery's width, 1"):
        rerank(wide, Refine())


def test_the_hooks_register_these_names() -> None:
    names: dict[str, str] = {}
    rerankit_faiss.rerankit_register_stages(names.__setitem__)
    rerankit_faiss.rerankit_register_sources(names.__setitem__)
    assert set(names) == {"refine", "indexed", "faiss"}
