"""Results of Qdrant, Milvus and Weaviate as problems: real clients where they run by themselves, else their results."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

import rerankit
from rerankit import Problem
from rerankit.adapters.hits import Hit, problem_of_hits
from rerankit.errors import InputError
from rerankit.scores import EmbeddingScores

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, BANK = (RANDOM.normal(size=(n, 8)).astype(np.float32) for n in (30, 4, 12))
TEXTS = [f"text {n}" for n in range(30)]


def checked(problem, metric, k, ids):
    """The lists are those of an exact search, and items and queries know how they are alike."""
    exact = Problem.from_embeddings(QUERIES, ITEMS, metric).ranking(k)
    names = [[problem.gallery_ids[item].item() for item in row] for row in problem.ranking(k).indices]
    assert names == [[ids[item] for item in row] for row in exact.indices.tolist()]
    rows = [ids.index(name) for name in problem.gallery_ids.tolist()]
    np.testing.assert_allclose(
        problem.gallery_scores.rows(), EmbeddingScores(ITEMS[rows], ITEMS[rows], metric).rows(), atol=1e-4
    )
    np.testing.assert_allclose(problem.query_scores.rows(), EmbeddingScores(QUERIES, QUERIES, metric).rows(), atol=1e-4)
    assert list(problem.gallery_features["text"]) == [TEXTS[row] for row in rows]
    assert rerankit.rerank(problem, "k-reciprocal").shape[0] == 4
    assert rerankit.rerank(problem, "csls").shape[0] == 4


def test_hits_of_uneven_length_are_lists():
    problem = problem_of_hits([[Hit(7, 0.9), Hit(3, 0.4)], [], [Hit(3, 0.8)]])
    assert problem.ranking().to_dict() == {0: {7: 0.9, 3: 0.4}, 1: {}, 2: {3: 0.8}}
    assert problem.gallery_scores is None
    assert problem_of_hits([[Hit(1, 0.9), Hit("a", 0.4)]]).gallery_ids.tolist() == ["1", "a"]


def test_distances_must_be_said():
    rising = [[Hit("a", 0.1), Hit("b", 0.7)]]
    with pytest.raises(InputError, match="must not rise"):
        problem_of_hits(rising)
    assert problem_of_hits(rising, "l2").ranking().to_dict() == {0: {"a": -0.1, "b": -0.7}}


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_distances_that_were_called_scores_are_refused(metric):
    near = [Hit("a", 0.1), Hit("b", 0.7)]
    with pytest.raises(
        InputError, match=rf"'found' must be scores .*\(got '{metric}', and numbers that rise in all of 2"
    ):
        problem_of_hits([near, near, [Hit("a", 1.0)]], metric)
    assert problem_of_hits([near, near[::-1]], metric).shape == (2, 2)
    assert problem_of_hits([near], "l2").shape == (1, 2)


def test_scores_that_were_called_distances_are_refused():
    best = [Hit("a", 0.7), Hit("b", 0.1)]
    with pytest.raises(InputError, match=r"'found' must be distances .*\(got 'l2', and numbers that fall in all of 2"):
        problem_of_hits([best, best, [Hit("a", 1.0)]], "l2")
    assert problem_of_hits([best, best[::-1]], "l2").shape == (2, 2)


def test_a_bank_stands_beside_the_items():
    hits = [[Hit(item, 1 - item / 10, ITEMS[item].tolist()) for item in (3, 5, 8)]]
    for queries in (None, QUERIES[:1]):
        problem = problem_of_hits(hits, "cosine", queries=queries, bank=BANK)
        expected = EmbeddingScores(BANK, ITEMS[[3, 5, 8]], "cosine").rows()
        np.testing.assert_allclose(problem.query_bank.to_gallery.rows(), expected, atol=1e-5)
        assert rerankit.rerank(problem, "inverted-softmax").shape == (1, 3)
    with pytest.raises(InputError, match="'bank' needs the vectors of all hits"):
        problem_of_hits([[Hit("a", 0.4)]], bank=BANK)
    with pytest.raises(InputError, match="'found' must have at least one hit"):
        problem_of_hits([[], []])


@pytest.mark.parametrize(("distance", "metric"), [("Cosine", "cosine"), ("Dot", "dot"), ("Euclid", "euclidean")])
@pytest.mark.parametrize("named", [False, True])
def test_qdrant(distance, metric, named):
    qdrant = pytest.importorskip("qdrant_client")
    from qdrant_client import models

    from rerankit.adapters.qdrant import problem_of

    client = qdrant.QdrantClient(":memory:")
    kind = models.VectorParams(size=8, distance=distance)
    client.create_collection("items", vectors_config={"image": kind} if named else kind)
    vectors = [{"image": one.tolist()} if named else one.tolist() for one in ITEMS]
    points = [
        models.PointStruct(id=n, vector=one, payload={"caption": text})
        for n, (one, text) in enumerate(zip(vectors, TEXTS, strict=True))
    ]
    client.upsert("items", points)
    name = "image" if named else None
    requests = [
        models.QueryRequest(query=one.tolist(), limit=6, with_vector=True, with_payload=True, using=name)
        for one in QUERIES
    ]
    found = client.query_batch_points("items", requests)
    asked = {"queries": QUERIES, "vector": name, "text": "caption", "distance": models.Distance(distance)}
    if metric == "cosine":  # Qdrant gives back unit vectors, which are alike as they were
        checked(problem_of(found, **asked), metric, 6, list(range(30)))
    else:
        checked(problem_of(found, **{**asked, "distance": distance}), metric, 6, list(range(30)))
    one = client.query_points("items", query=QUERIES[0].tolist(), limit=6, using=name)
    assert problem_of(one, distance=distance).shape == (1, 6)
    assert problem_of((one, one), distance=distance).shape == (2, 6)
    for given, words in ((one.points, "must be answers of query_points"), ([3], r"must be answers .* \(got int\)")):
        with pytest.raises(InputError, match=words):
            problem_of(given, distance=distance)
    with pytest.raises(InputError, match="unknown distance 'Hamming'"):
        problem_of(found, distance="Hamming")
    if named:
        with pytest.raises(InputError, match="unknown vector 'imag'; did you mean 'image'"):
            problem_of(found, vector="imag", distance=distance)
        assert problem_of(found, distance=distance).gallery_scores is not None  # the only one


@pytest.mark.parametrize(("metric_type", "metric"), [("COSINE", "cosine"), ("IP", "dot"), ("L2", "euclidean")])
def test_milvus(tmp_path, metric_type, metric):
    pytest.importorskip("milvus_lite")
    pymilvus = pytest.importorskip("pymilvus")

    from rerankit.adapters.milvus import problem_of

    client = pymilvus.MilvusClient(str(tmp_path / "milvus.db"))
    client.create_collection("items", dimension=8, metric_type=metric_type)
    client.insert("items", [{"id": n, "vector": ITEMS[n].tolist(), "caption": TEXTS[n]} for n in range(30)])
    found = client.search("items", QUERIES.tolist(), limit=6, output_fields=["vector", "caption"])
    problem = problem_of(found, metric_type=metric_type, queries=QUERIES, text="caption")
    client.close()
    checked(problem, metric, 6, list(range(30)))
    with pytest.raises(InputError, match="unknown metric_type 'COS'"):
        problem_of(found, metric_type="COS")


def test_weaviate():
    pytest.importorskip("weaviate")
    from weaviate.collections.classes.internal import MetadataReturn, Object, QueryReturn

    from rerankit.adapters.weaviate import problem_of

    ids = [str(uuid.UUID(int=n)) for n in range(30)]
    exact = Problem.from_embeddings(QUERIES, ITEMS).ranking(6)

    def result(row, vectors=True, **metadata):
        objects = [
            Object(
                uuid=uuid.UUID(int=item),
                metadata=MetadataReturn(**(metadata or {"distance": 1 - score})),
                properties={"caption": TEXTS[item]},
                references=None,
                vector={"default": ITEMS[item].tolist()} if vectors else {},
                collection="Items",
            )
            for item, score in zip(exact.indices[row].tolist(), exact.scores[row].tolist(), strict=True)
        ]
        return QueryReturn(objects=objects)

    problem = problem_of([result(row) for row in range(4)], queries=QUERIES, text="caption")
    checked(problem, "cosine", 6, ids)
    assert problem_of(result(0, vectors=False)).gallery_scores is None
    assert problem_of(result(0, score=0.5)).ranking().scores[0].tolist() == [0.5] * 6
    with pytest.raises(InputError, match="'results' must have distances or scores"):
        problem_of(result(0, creation_time=None))
