"""An index of FAISS as the source of candidates: right by every metric, with ids, with gaps, and its graph."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem
from rerankit.adapters.faiss import neighbours_of, problem_of
from rerankit.errors import InputError

faiss = pytest.importorskip("faiss")

RANDOM = np.random.default_rng(0)
QUERIES, ITEMS = RANDOM.normal(size=(7, 8)).astype(np.float32), RANDOM.normal(size=(40, 8)).astype(np.float32)


def flat(kind):
    index = kind(8)
    index.add(ITEMS)
    return index


@pytest.mark.parametrize(("kind", "metric"), [(faiss.IndexFlatIP, "dot"), (faiss.IndexFlatL2, "euclidean")])
def test_the_lists_of_an_exact_index_are_those_of_the_vectors(kind, metric):
    problem = problem_of(flat(kind), QUERIES, 5)
    exact = Problem.from_embeddings(QUERIES, ITEMS, metric).ranking(5)
    assert problem.ranking(5).indices.tolist() == exact.indices.tolist()
    expected = exact.scores if metric == "dot" else -(exact.scores**2)
    np.testing.assert_allclose(problem.ranking(5).scores, expected, rtol=1e-4)
    nearest = [[int(row)] for row in exact.indices[:, 0]]
    assert rerankit.evaluate(problem, nearest, ["success@1"])["success@1"] == 1


def test_ids_of_an_index_are_ids_of_the_gallery():
    index = faiss.IndexIDMap(faiss.IndexFlatIP(8))
    names = RANDOM.permutation(1000)[:40]
    index.add_with_ids(ITEMS, names)
    problem = problem_of(index, QUERIES, 100, query_ids=list("abcdefg"))
    plain = problem_of(flat(faiss.IndexFlatIP), QUERIES, 100)
    assert problem.gallery_ids.tolist() == names.tolist()
    np.testing.assert_array_equal(problem.scores.rows(), plain.scores.rows())
    np.testing.assert_array_equal(neighbours_of(index, 4).rows(), neighbours_of(flat(faiss.IndexFlatIP), 4).rows())


def test_what_an_approximate_index_misses_is_absent():
    quantizer = faiss.IndexFlatL2(8)
    index = faiss.IndexIVFFlat(quantizer, 8, 10)
    index.train(ITEMS)
    index.add(ITEMS)
    ranking = problem_of(index, QUERIES, 20).ranking(20)
    assert not ranking.mask.all()
    assert (ranking.mask.sum(axis=1) > 0).all()


@pytest.mark.parametrize(("kind", "metric"), [(faiss.IndexFlatIP, "dot"), (faiss.IndexFlatL2, "euclidean")])
def test_the_graph_of_neighbours_serves_stages(kind, metric):
    index = flat(kind)
    exact = Problem.from_embeddings(ITEMS, ITEMS, metric).ranking(6)
    lists = neighbours_of(index, 6)
    np.testing.assert_array_equal(np.sort(lists.topk(6)[0], axis=1), np.sort(exact.indices, axis=1))
    problem = problem_of(index, QUERIES, 10, gallery_scores=lists)
    assert rerankit.rerank(problem, "diffusion", k=10).shape == (7, 10)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: problem_of(ITEMS, QUERIES), "'index' must be an index of FAISS"),
        (lambda: problem_of(faiss.IndexFlatIP(8), QUERIES), "'index' must hold items"),
        (lambda: problem_of(flat(faiss.IndexFlatIP), QUERIES[:, :4]), "'queries' must have the index's width, 8"),
        (lambda: problem_of(flat(faiss.IndexFlatIP), QUERIES, 0), "'k' must be at least 1"),
        (lambda: problem_of(faiss.IndexBinaryFlat(8), QUERIES), "over vectors of numbers"),
    ],
)
def test_what_is_wrong_is_said(given, words):
    with pytest.raises(InputError, match=words):
        given()


@pytest.mark.filterwarnings("default")  # FAISS's own
def test_ids_that_inverted_lists_were_given():
    names = RANDOM.permutation(1000)[:40]
    index = faiss.index_factory(8, "IVF2,Flat")
    index.train(ITEMS)
    index.add_with_ids(ITEMS, names)
    faiss.extract_index_ivf(index).nprobe = 2
    problem = problem_of(index, QUERIES, 5)
    found = np.array(problem.gallery_ids.tolist())[problem.ranking(5).indices]
    np.testing.assert_array_equal(found, index.search(QUERIES, 5)[1])
    with pytest.raises(InputError, match="must count its items for their neighbours: give ids by an IndexIDMap2"):
        neighbours_of(index)
    counted = faiss.index_factory(8, "IVF2,Flat")
    counted.train(ITEMS)
    counted.add(ITEMS)
    assert problem_of(counted, QUERIES).gallery_ids is None


def test_an_index_that_gives_no_vectors_back_is_refused():
    index = faiss.IndexShards(8)
    parts = [faiss.IndexFlatL2(8), faiss.IndexFlatL2(8)]
    for part in parts:
        index.add_shard(part)
    index.add(ITEMS)
    assert problem_of(index, QUERIES, 5).ranking(5).indices.tolist() == (
        problem_of(flat(faiss.IndexFlatL2), QUERIES, 5).ranking(5).indices.tolist()
    )
    with pytest.raises(InputError, match="'index' must give its vectors back"):
        neighbours_of(index)
