"""MaxSim against a naive loop and against sentence-transformers' own, in any form, precision, block and engine."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Ranking, settings, stage
from rerankit.errors import InputError, UnmetNeedError
from rerankit.features import Tokens

RANDOM = np.random.default_rng(0)


def uneven(count, most, width=8, dtype=np.float32):
    return [RANDOM.normal(size=(RANDOM.integers(1, most + 1), width)).astype(dtype) for _ in range(count)]


QUERIES, ITEMS = uneven(9, 5), uneven(30, 12)
LOOP = np.array([[(q.astype(float) @ d.astype(float).T).max(axis=1).sum() for d in ITEMS] for q in QUERIES])


def a_problem(queries=QUERIES, items=ITEMS):
    scores = np.random.default_rng(1).normal(size=(len(queries), len(items)))
    return Problem(scores, query_features={"tokens": queries}, gallery_features={"tokens": items})


def scores_of(problem, ranking, **params):
    made = stage("maxsim", **params).rescore(problem, ranking)
    return np.where(ranking.mask, made, 0), np.take_along_axis(LOOP, np.maximum(ranking.indices, 0), axis=1)


ENGINES = ["numpy", "torch"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("k", [1, 7, 30])
def test_the_naive_loop_agrees(engine, k):
    problem = a_problem()
    found, expected = scores_of(problem, problem.ranking(k), engine=engine, device="cpu")
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("budget", [1, 3000, 10**9])
def test_blocks_change_nothing_but_rounding(engine, budget):
    problem = a_problem()
    with settings.using(memory_budget=budget):
        found, expected = scores_of(problem, problem.ranking(), engine=engine, device="cpu")
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_padded_tokens_with_counts_of_any_precision_on_disk(tmp_path):
    counts = np.array([len(one) for one in ITEMS])
    padded = np.full((30, 12, 8), np.nan, np.float16)
    for row, one in enumerate(ITEMS):
        padded[row, : len(one)] = one
    np.save(tmp_path / "tokens.npy", padded)
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    problem = a_problem(items=Tokens(mapped, counts=counts))
    found, expected = scores_of(problem, problem.ranking(10))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)
    same = a_problem([one.astype(np.float64) for one in QUERIES], [one.astype(np.float16) for one in ITEMS])
    np.testing.assert_array_equal(found, scores_of(same, same.ranking(10))[0])


def test_short_rows_and_subsets():
    problem = a_problem()
    ranking = Ranking([[3, 1, -1], [5, -1, -1]], [[2, 1, -np.inf], [1, -np.inf, -np.inf]], gallery_size=30)
    two = problem.subset([4, 2])
    made = stage("maxsim").rescore(two, ranking)
    np.testing.assert_allclose(made[0, :2], LOOP[4, [3, 1]], rtol=1e-5)
    np.testing.assert_allclose(made[1, 0], LOOP[2, 5], rtol=1e-5)
    assert np.isneginf(made[1, 1:]).all()


def test_the_mean_keeps_the_order():
    problem = a_problem()
    plain, mean = rerankit.rerank(problem, "maxsim"), rerankit.rerank(problem, "maxsim", mean=True)
    assert plain.indices.tolist() == mean.indices.tolist()
    counts = np.array([len(one) for one in QUERIES])[:, None]
    np.testing.assert_allclose(mean.scores, plain.scores / counts, rtol=1e-6)


def test_sentence_transformers_agrees():
    torch = pytest.importorskip("torch")
    similarity = pytest.importorskip("sentence_transformers.util.similarity")
    tensors = [[torch.from_numpy(one) for one in side] for side in (QUERIES, ITEMS)]
    theirs = similarity.maxsim(*tensors).numpy()
    found = stage("maxsim").rescore(a_problem(*tensors), a_problem().ranking())
    np.testing.assert_allclose(found, np.take_along_axis(theirs, a_problem().ranking().indices, axis=1), rtol=1e-5)


@pytest.mark.parametrize(
    ("problem", "error", "words"),
    [
        (lambda: Problem([[1.0]]), UnmetNeedError, "needs query_features:tokens"),
        (lambda: a_problem([np.eye(4)], [np.eye(8)]), InputError, "must have one width"),
        (
            lambda: a_problem([np.eye(8)], [np.eye(8), None]),
            InputError,
            "every gallery item must have tokens",
        ),
        (lambda: a_problem([None, np.eye(8)], [np.eye(8)]), InputError, "every query item must have tokens"),
        (lambda: a_problem([np.eye(8) * np.inf], [np.eye(8)]), InputError, "'tokens' must be finite"),
        (lambda: a_problem(np.eye(8), [np.eye(8)] * 3), InputError, "query feature 'tokens' must be tokens"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply")
def test_what_is_wrong_is_said(problem, error, words):
    with pytest.raises(error, match=words):
        rerankit.rerank(problem(), "maxsim")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"engine": "jax"}, "unknown engine 'jax'"),
        ({"mean": 1}, "'mean' must be true or false"),
        ({"feature": ""}, "'feature' must be the name"),
    ],
)
def test_bad_parameters(params, words):
    with pytest.raises(InputError, match=words):
        stage("maxsim", **params)
