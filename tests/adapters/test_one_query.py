"""Documents of one query at a time, against a gallery that stands ready or by themselves."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Gallery
from rerankit.adapters.one_query import OneQuery
from rerankit.errors import InputError, UnmetNeedError

RANDOM = np.random.default_rng(0)
ITEMS, BANK, QUERY = RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(40, 8)), RANDOM.normal(size=8)
IDS = [f"d{n}" for n in range(30)]
SOME = ["d4", "d11", "d2", "d25"]


class Words(rerankit.Stage):
    """How many words of the query a document has."""

    name = "words"
    needs = ("query_features:text", "gallery_features:text")

    def rescore(self, problem, ranking):
        queries, documents = (
            [set(text.split()) for text in features["text"]]
            for features in (problem.query_features, problem.gallery_features)
        )
        return [[len(queries[row] & documents[d]) for d in items] for row, items in enumerate(ranking.indices)]


@pytest.fixture
def ready():
    return rerankit.prepare("nnn", Gallery(ITEMS, ids=IDS, bank=BANK))


def test_documents_alone_are_ordered_by_their_texts():
    order = OneQuery(Words()).order
    texts = ["a wall", "a red wall", "a red cat"]
    assert order("red cat", texts) == [(2, 2), (1, 1), (0, 0)]
    # Equal scores of the stage: the documents' own scores decide, or else their order.
    assert [place for place, _ in order("dog", texts)] == [0, 1, 2]
    assert [place for place, _ in order("dog", texts, scores=[0.1, 0.9, 0.0])] == [1, 0, 2]
    assert [place for place, _ in order("dog", texts, scores=[0.1, None, 0.0])] == [0, 1, 2]
    assert order("dog", []) == []


def test_vectors_of_the_documents_are_related():
    order = OneQuery(rerankit.stage("alpha-qe")).order
    rows = [IDS.index(name) for name in SOME]
    found = order("?", SOME, vector=QUERY, vectors=[ITEMS[row].tolist() for row in rows])
    problem = rerankit.Problem.from_embeddings(QUERY[None], ITEMS[rows])
    expected = rerankit.rerank(problem, "alpha-qe")
    assert [place for place, _ in found] == expected.indices[0].tolist()
    np.testing.assert_allclose([score for _, score in found], expected.scores[0], rtol=1e-6)
    with pytest.raises(UnmetNeedError, match="alpha-qe"):
        order("?", SOME, vector=QUERY, vectors=[None, *ITEMS[:3]])


@pytest.mark.parametrize("scores", [None, [0.9, 0.8, 0.7, 0.6]])
def test_a_gallery_that_stands_ready_answers(ready, scores):
    found = OneQuery(ready, embed=lambda text: QUERY).order("?", SOME, ids=SOME, scores=scores)
    expected = ready.rerank(QUERY, candidates=[SOME], scores=None if scores is None else [scores])
    assert {SOME[place]: score for place, score in found} == pytest.approx(expected.to_dict()[0])
    assert [SOME[place] for place, _ in found] == list(expected.to_dict()[0])
    assert OneQuery(ready).order("?", SOME, ids=SOME, scores=scores, vector=QUERY) == found


def test_a_document_that_comes_twice_is_taken_once(ready):
    found = OneQuery(ready).order("?", ["a"] * 3, ids=["d3", "d1", "d3"], vector=QUERY)
    assert sorted(place for place, _ in found) == [0, 1]


def test_a_gallery_that_is_numbered(ready):
    numbered = rerankit.prepare("nnn", Gallery(ITEMS, bank=BANK))
    rows = [IDS.index(name) for name in SOME]
    by_row = OneQuery(numbered).order("?", SOME, ids=rows, vector=QUERY)
    assert by_row == OneQuery(ready).order("?", SOME, ids=SOME, vector=QUERY)


def test_scores_alone_are_enough_for_stages_that_read_no_more(ready):
    scores = [0.1, 0.9, 0.3, 0.2]
    found = OneQuery(ready).order("?", SOME, ids=SOME, scores=scores)
    expected = ready.rerank(candidates=[SOME], scores=[scores]).to_dict()[0]
    assert [SOME[place] for place, _ in found] == list(expected)
    assert [score for _, score in found] == pytest.approx(list(expected.values()))


@pytest.mark.parametrize("how", ["sinkhorn", rerankit.stage("csls").top(5), rerankit.stage("alpha-qe") >> "gnn"])
def test_what_looks_at_other_queries_is_refused(how):
    with pytest.raises(UnmetNeedError, match=r"looks at other queries.*rerankit\.prepare"):
        OneQuery(how)


def test_what_is_wrong_is_said(ready):
    with pytest.raises(InputError, match="documents must have the ids"):
        OneQuery(ready).order("?", ["a"], ids=[None], vector=QUERY)
    with pytest.raises(InputError, match="'embed' must be given"):
        OneQuery(ready).order("?", ["a"], ids=["d1"])
    with pytest.raises(InputError, match="d99"):
        OneQuery(ready).order("?", ["a"], ids=["d99"], vector=QUERY)
