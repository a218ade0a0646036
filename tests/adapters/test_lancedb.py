"""A re-ranker inside real searches of LanceDB: one query, several at once, words, both, several vectors."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Gallery, Problem, stage
from rerankit.errors import InputError, UnmetNeedError

lancedb = pytest.importorskip("lancedb")

from rerankit.adapters.lancedb import RerankitReranker  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # LanceDB's own

RANDOM = np.random.default_rng(0)
ITEMS = RANDOM.normal(size=(40, 8)).astype(np.float32)
QUERIES, BANK = RANDOM.normal(size=(5, 8)).astype(np.float32), RANDOM.normal(size=(20, 8)).astype(np.float32)
IDS = [f"d{n}" for n in range(40)]
TEXTS = [f"castle {'wall ' * n}{n}" if n % 3 else f"hill {n}" for n in range(40)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rows = [{"id": IDS[n], "text": TEXTS[n], "vector": ITEMS[n].tolist()} for n in range(40)]
    made = lancedb.connect(str(tmp_path_factory.mktemp("lance"))).create_table("items", rows)
    made.create_fts_index("text")
    return made


def listed(found, key="id"):
    """The items of every query, in order, with their scores."""
    asked = found["query_index"].to_pylist() if "query_index" in found.column_names else [0] * len(found)
    lists = {}
    for query, item, score in zip(asked, found[key].to_pylist(), found["_relevance_score"].to_pylist(), strict=True):
        lists.setdefault(query, {})[item] = score
    assert sorted(lists) == list(dict.fromkeys(asked))  # query after query
    return lists


def same(found, expected):
    assert {query: list(items) for query, items in found.items()} == {q: list(items) for q, items in expected.items()}
    for query, items in found.items():
        assert items == pytest.approx(expected[query], rel=1e-4, abs=1e-5)


def lists_of(queries, k):
    """The same search without LanceDB: squared distances to the nearest, as lists among what any query found."""
    distances = ((queries[:, None] - ITEMS[None]) ** 2).sum(axis=2)
    nearest = np.argsort(distances, axis=1)[:, :k]
    return {q: {IDS[n]: float(-distances[q, n]) for n in nearest[q]} for q in range(len(queries))}


def test_a_batch_is_one_problem_of_several_queries(table):
    reranker = RerankitReranker("csls", ids="id")
    found = table.search(QUERIES).rerank(reranker, query_string="").limit(10).to_arrow()
    same(listed(found), rerankit.rerank(Problem(lists_of(QUERIES, 10)), "csls").to_dict())
    by_row = table.search(QUERIES).with_row_id(True).rerank(RerankitReranker("csls"), query_string="").limit(10)
    assert listed(by_row.to_arrow()) == listed(found)
    assert "_distance" not in found.column_names
    both = RerankitReranker("csls", ids="id", return_score="all")
    assert "_distance" in table.search(QUERIES).rerank(both, query_string="").limit(10).to_arrow().column_names


@pytest.mark.parametrize("how", ["k-reciprocal", stage("alpha-qe") >> "fuse"])
def test_vectors_of_the_search_relate_queries_and_items(table, how):
    reranker = RerankitReranker(how, ids="id", queries=QUERIES)
    found = listed(table.search(QUERIES).rerank(reranker, query_string="").limit(10).to_arrow())
    lists = lists_of(QUERIES, 10)
    names = list(dict.fromkeys(item for items in lists.values() for item in items))
    items, asked = ITEMS[[IDS.index(name) for name in names]], QUERIES
    scores = rerankit.scores.EmbeddingScores
    problem = Problem(
        lists,
        gallery_ids=names,
        query_scores=scores(asked, asked, "euclidean"),
        gallery_scores=scores(items, items, "euclidean"),
    )
    expected = rerankit.Pipeline([how]).rerank(problem, problem.ranking()).to_dict()
    assert {query: list(one) for query, one in found.items()} == {query: list(one) for query, one in expected.items()}


def test_one_query_and_a_gallery_that_stands_ready(table):
    ready = rerankit.prepare("nnn", Gallery(ITEMS, ids=IDS, metric="euclidean", bank=BANK))
    for reranker in (
        RerankitReranker(ready, ids="id", queries=QUERIES[0]),
        RerankitReranker(ready, ids="id", embed=lambda text: QUERIES[0]),
    ):
        found = table.search(QUERIES[0]).rerank(reranker, query_string="old castle").limit(10).to_arrow()
        first = lists_of(QUERIES[:1], 10)[0]
        expected = ready.rerank(QUERIES[0], candidates=[list(first)], scores=[list(first.values())])
        same(listed(found), expected.to_dict())
    with pytest.raises(UnmetNeedError, match="csls"):
        table.search(QUERIES[0]).rerank(RerankitReranker("csls"), query_string="").limit(10).to_arrow()
    banked = RerankitReranker("nnn", queries=QUERIES[0], bank=BANK)
    assert len(table.search(QUERIES[0]).rerank(banked, query_string="").limit(10).to_arrow()) == 10


class Words(rerankit.Stage):
    """Items whose text ends in the greatest number first."""

    name = "words"
    needs = ("query_features:text", "gallery_features:text")

    def rescore(self, problem, ranking):
        assert set(problem.query_features["text"]) == {"castle"}
        return [[int(problem.gallery_features["text"][item].split()[-1]) for item in row] for row in ranking.indices]


def test_words_and_both(table):
    for search in (
        table.search("castle", query_type="fts").rerank(RerankitReranker(Words())),
        table.search(query_type="hybrid").vector(QUERIES[0]).text("castle").rerank(RerankitReranker(Words())),
    ):
        found = search.limit(8).to_arrow()
        numbers = [int(text.split()[-1]) for text in found["text"].to_pylist()]
        assert numbers == sorted(numbers, reverse=True)
        assert found["_relevance_score"].to_pylist() == numbers


def test_both_begin_with_reciprocal_ranks(table):
    from lancedb.rerankers import RRFReranker

    class AsItCame(rerankit.Stage):
        name = "as-it-came"

        def rescore(self, problem, ranking):
            assert list(problem.extra_scores) == ["words"]
            return ranking.scores

    def search(reranker):
        builder = table.search(query_type="hybrid").vector(QUERIES[0]).text("castle").rerank(reranker)
        return builder.limit(12).to_arrow()

    ours, theirs = search(RerankitReranker(AsItCame(), return_score="all")), search(RRFReranker(return_score="all"))
    ours, theirs = (
        dict(zip(t["id"].to_pylist(), t["_relevance_score"].to_pylist(), strict=True)) for t in (ours, theirs)
    )
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert list(ours.values()) == sorted(ours.values(), reverse=True)


def test_several_searches_for_one_query(table):
    searches = [table.search(query).with_row_id(True).limit(6).to_arrow() for query in QUERIES[:2]]
    found = RerankitReranker("fuse").rerank_multivector(searches, "castle")
    names = set(searches[0]["id"].to_pylist()) | set(searches[1]["id"].to_pylist())
    assert sorted(found["id"].to_pylist()) == sorted(names)
    with pytest.raises(InputError, match=r"with_row_id\(True\)"):
        RerankitReranker("fuse").rerank_multivector([table.search(QUERIES[0]).limit(3).to_arrow()], "castle")


def test_nothing_found(table):
    found = table.search("zeppelin", query_type="fts").rerank(RerankitReranker(Words())).to_arrow()
    assert len(found) == 0
    assert "_relevance_score" in found.column_names


def test_what_is_wrong_is_said(table):
    with pytest.raises(InputError, match="must have row ids"):
        table.search(QUERIES).rerank(RerankitReranker("csls"), query_string="").limit(5).to_arrow()
    few = RerankitReranker("csls", ids="id", queries=QUERIES[:2])
    with pytest.raises(InputError, match="'queries' must be the vectors of this search"):
        table.search(QUERIES).rerank(few, query_string="").limit(5).to_arrow()
    with pytest.raises(InputError, match="'ids' must be one of the selected columns"):
        table.search(QUERIES).rerank(RerankitReranker("csls", ids="name"), query_string="").limit(5).to_arrow()
    with pytest.raises(InputError, match="'ids' must name the column"):
        RerankitReranker(rerankit.prepare("nnn", Gallery(ITEMS, bank=BANK)))
    search = table.search(QUERIES).select(["id", "text"])
    lacks = (
        r"gallery_scores.*; these results have no column 'vector' of vectors \(select it, .* and no vectors of queries"
    )
    with pytest.raises(UnmetNeedError, match=lacks):
        search.rerank(RerankitReranker("alpha-qe", ids="id"), query_string="").limit(5).to_arrow()
