"""Neighbours from an approximate index: exact where it misses nothing, and what it misses is measured."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from rerankit import Gallery, Pipeline, Problem, prepare, rerank, stage
from rerankit.errors import InputError
from rerankit.pipelines.finding import Finder, served_by
from rerankit.pipelines.indexed import Indexed
from rerankit.stages.neighbours.joint import Joint

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(20, 12))
QUERIES, ITEMS, OLD = (
    CENTRES[RANDOM.integers(0, 20, count)] + 0.7 * RANDOM.normal(size=(count, 12)) for count in (30, 150, 40)
)
STAGES = [
    stage("k-reciprocal"),
    stage("k-reciprocal", align=False, k1=6, k2=3),
    stage("diffusion"),
    stage("dba"),
    stage("consensus"),
    stage("plan"),
]


def nearest_among(vectors: np.ndarray, metric: str, every: int = 1):
    """Compares all vectors but every so many-th."""
    there = np.arange(len(vectors)) % every == 0 if every > 1 else np.ones(len(vectors), bool)

    def search(asked: np.ndarray, k: int) -> np.ndarray:
        scores = asked.astype(np.float64) @ vectors.T
        if metric == "euclidean":
            scores = 2 * scores - np.square(vectors).sum(axis=1)
        scores[:, ~there] = -np.inf
        found = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.where(np.isfinite(np.take_along_axis(scores, found, axis=1)), found, -1)

    return search


class Whole(Indexed):
    name = "whole"

    def __init__(self, stage, sample: int = 200, every: int = 1) -> None:
        super().__init__(stage, sample)
        self.every = every

    def searched(self, vectors, metric):
        return nearest_among(vectors, metric, self.every)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("bank", [False, True])
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_an_index_that_misses_nothing_changes_nothing(one, bank, metric):
    problem = Problem.from_embeddings(QUERIES, ITEMS, query_bank=OLD if bank else None, metric=metric)
    found = rerank(problem, Whole(one), k=20)
    expected = rerank(problem, one, k=20)
    if one.name == "k-reciprocal":  # the farthest item is that of a sample, which here is all
        assert (found.indices == expected.indices).mean() > 0.99
    else:
        np.testing.assert_array_equal(found.indices, expected.indices)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
    missed = found.notes["whole"]["missed"]
    assert missed == (None if missed is None else 0)
    assert missed is not None or one.name in ("plan", "consensus")  # whose votes may not count


def test_the_joint_neighbours_are_those_of_all_pairs():
    problem = Problem.from_embeddings(QUERIES, ITEMS)
    for align in (False, True):
        joint = Joint(problem, align)
        exact = joint.neighbours(7, level=True)
        finder = Finder(nearest_among, 50)
        with served_by(finder):
            found = joint.neighbours(7, level=True)
        for name in ("indices", "scores", "lowest", "level"):
            np.testing.assert_array_equal(getattr(found, name), getattr(exact, name), err_msg=name)
        assert found.highest == exact.highest
        assert finder.missed == 0


def test_what_is_missed_is_measured_and_its_scores_are_exact():
    problem = Problem.from_embeddings(QUERIES, ITEMS)
    among = problem.gallery_scores
    finder = Finder(lambda vectors, metric: nearest_among(vectors, metric, 3), 1000)
    indices, scores = finder.lists(among, np.arange(150), 60)
    assert (indices[:, 50:] == -1).all()
    assert np.isneginf(scores[:, 50:]).all()
    assert (indices[:, :50] % 3 == 0).all()
    rows = np.repeat(np.arange(150)[:, None], 50, axis=1)
    np.testing.assert_array_equal(scores[:, :50], among.pairs(rows, indices[:, :50]))
    true = among.topk(60)[0]
    there = sum(len(set(a) & set(b)) for a, b in zip(true.tolist(), indices.tolist(), strict=True))
    assert finder.missed == 1 - there / true.size
    assert 0.4 < rerank(problem, Whole(stage("diffusion"), every=3), k=5).notes["whole"]["missed"] < 0.8


def test_the_index_of_the_same_vectors_is_built_once():
    made = []

    def build(vectors, metric):
        made.append(len(vectors))
        return nearest_among(vectors, metric)

    problem = Problem.from_embeddings(QUERIES, ITEMS)
    with served_by(Finder(build, 10)):
        rerank(problem, "k-reciprocal", k=5)
        rerank(problem, "diffusion", k=5)
    assert sorted(made) == [30, 150]


def test_it_is_prepared_saved_and_stands_inside_others():
    gallery = Gallery(ITEMS, bank=OLD)
    for one in (stage("k-reciprocal"), stage("diffusion")):
        ready = prepare(Whole(one, every=2), gallery)
        alone = ready.rerank(QUERIES, k=10)
        assert alone.notes["whole"]["missed"] > 0.2
        for row in (0, 7):
            np.testing.assert_array_equal(ready.rerank(QUERIES[row], k=10).indices[0], alone.indices[row])
        kept = ready.prepared.children[0]
        again = Whole(one, every=2).restored(gallery, kept.state())
        assert again.finder.missed == kept.finder.missed
        problem = gallery.problem(QUERIES)
        np.testing.assert_array_equal(again.rerank(problem, problem.ranking(10)).indices, alone.indices)
        assert pickle.loads(pickle.dumps(kept.finder)).missed == kept.finder.missed
    both = Pipeline([stage("nnn"), Whole(stage("fuse", sources=["scores", stage("dba")]))])
    assert rerank(problem, both, k=5).notes["whole"]["missed"] == 0


def test_matrices_are_left_as_they_are():
    problem = Problem(QUERIES @ ITEMS.T, gallery_scores=ITEMS @ ITEMS.T)
    found = rerank(problem, Whole(stage("diffusion"), every=5), k=10)
    assert found == rerank(problem, "diffusion", k=10)
    assert found.notes["whole"]["missed"] is None


def test_bad_input():
    with pytest.raises(InputError, match="'stage' must be a stage"):
        Whole("diffusion")
    with pytest.raises(InputError, match="'sample' must be at least 1"):
        Whole(stage("dba"), sample=0)

    class Wrong(Whole):
        name = "wrong"

        def searched(self, vectors, metric):
            return lambda asked, k: np.full((len(asked), k), len(vectors))

    with pytest.raises(Exception, match="'index' must find rows of its vectors"):
        rerank(Problem.from_embeddings(QUERIES, ITEMS), Wrong(stage("diffusion")), k=5)
