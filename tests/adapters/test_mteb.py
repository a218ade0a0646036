"""Stages inside `mteb.evaluate`: a real retrieval task out of local files, run to the end with a real small model."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Relevance
from rerankit.errors import InputError

mteb = pytest.importorskip("mteb")

from rerankit.adapters.mteb import RerankedSearch, RerankingIndex, problem_of, write_predictions  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # MTEB and datasets warn of their own code

NOUNS = ("bicycle", "castle", "cat", "river", "violin", "train", "orange", "garden")
PLACES = ("wall", "hill", "street", "shore", "room")
DOCUMENTS = {f"d{n}-{m}": (noun, f"by a {place}") for n, noun in enumerate(NOUNS) for m, place in enumerate(PLACES)}
QUERIES = {f"q{n}-{m}": f"{noun} {place}" for n, noun in enumerate(NOUNS) for m, place in enumerate(PLACES[:3])}
RIGHT = {query: {query.replace("q", "d"): 1} for query in QUERIES}


@pytest.fixture(scope="module")
def model(static_encoder):
    return static_encoder([*QUERIES.values(), *(" ".join(both) for both in DOCUMENTS.values())])


@pytest.fixture
def task(tmp_path):
    """A retrieval task whose files lie in a folder of this machine."""
    folder = tmp_path / "toy"
    parts = {
        "corpus": [{"_id": d, "title": title, "text": text} for d, (title, text) in DOCUMENTS.items()],
        "queries": [{"_id": q, "text": text} for q, text in QUERIES.items()],
        "default": [{"query-id": q, "corpus-id": d, "score": 1} for q, items in RIGHT.items() for d in items],
    }
    folder.mkdir()
    names = "".join(
        f"- config_name: {part}\n  data_files:\n  - split: test\n    path: {part}.jsonl\n" for part in parts
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{names}---\n")
    for part, rows in parts.items():
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    class Toy(mteb.abstasks.AbsTaskRetrieval):
        metadata = mteb.abstasks.task_metadata.TaskMetadata(
            name="Toy",
            dataset={"path": str(folder), "revision": "1"},
            description="things and places",
            type="Retrieval",
            category="t2t",
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

    return Toy()


def run(model, task, **rest):
    found = mteb.evaluate(model, task, cache=None, show_progress_bar=False, **rest)
    return found.task_results[0].scores["test"][0]


def problem(model, **rest):
    """The same without MTEB."""
    from rerankit.adapters.sentence_transformers import problem_of as encoded

    return encoded(model, QUERIES, {d: " ".join(both) for d, both in DOCUMENTS.items()}, **rest)


def same(ranking, predictions):
    ids = ranking.gallery_ids
    for row, query in enumerate(ranking.query_ids.tolist()):
        ours = ids[ranking.indices[row]].tolist()
        theirs = sorted(predictions[query], key=predictions[query].get, reverse=True)
        assert theirs[: len(ours)] == ours, query


@pytest.mark.parametrize("stage", ["sinkhorn", "k-reciprocal", "nnn"])
def test_a_task_runs_to_the_end_with_the_answers_of_rerank(model, task, tmp_path, stage):
    scores = run(RerankedSearch(model, stage, k=20), task, prediction_folder=tmp_path)
    ranking = rerankit.rerank(problem(model), stage, k=20)
    predictions = json.loads((tmp_path / "Toy_predictions.json").read_text())["default"]["test"]
    same(ranking, predictions)
    assert all(len(items) == len(DOCUMENTS) for items in predictions.values())  # those behind the first 20 are there
    right = Relevance.from_dict(RIGHT, list(QUERIES), list(DOCUMENTS))
    ours = rerankit.evaluate(ranking, right, ["ndcg@10", "recall@1"])
    assert scores["ndcg_at_10"] == pytest.approx(ours["ndcg@10"], abs=1e-5)
    assert scores["recall_at_1"] == pytest.approx(ours["recall@1"], abs=1e-5)
    base = run(model, task)
    assert base["ndcg_at_10"] == pytest.approx(
        rerankit.evaluate(problem(model), right, ["ndcg@10"])["ndcg@10"], abs=1e-5
    )


def test_a_bank_stands_in_the_place_of_the_tasks_queries(model, task, tmp_path):
    old = ["violin wall", "castle hill", "orange shore", "garden street"]
    banked = RerankedSearch(model, "nnn", bank={"Toy": old, "Other": ["x"]})
    run(banked, task, prediction_folder=tmp_path / "texts")
    vectors = model.encode_query(old)
    same(rerankit.rerank(problem(model, query_bank=vectors), "nnn"), read(tmp_path / "texts"))
    run(RerankedSearch(model, "nnn", bank=vectors), task, prediction_folder=tmp_path / "vectors")
    assert read(tmp_path / "vectors") == read(tmp_path / "texts")
    run(RerankedSearch(model, "nnn"), task, prediction_folder=tmp_path / "without")
    assert read(tmp_path / "without") != read(tmp_path / "texts")


def read(folder):
    return json.loads((folder / "Toy_predictions.json").read_text())["default"]["test"]


def test_stages_that_read_texts_get_them(model, task, tmp_path):
    class Words(rerankit.Stage):
        """The share of a query's words that a document has."""

        name = "words"
        needs = ("query_features:text", "gallery_features:text")

        def rescore(self, problem, ranking):
            queries, documents = (
                [set(text.split()) for text in side]
                for side in (problem.query_features["text"], problem.gallery_features["text"])
            )
            return [[len(queries[row] & documents[d]) for d in items] for row, items in enumerate(ranking.indices)]

    scores = run(RerankedSearch(model, Words()), task)
    assert scores["recall_at_1"] == 1


def test_candidates_that_a_task_names_are_reranked(model, task, tmp_path):
    run(model, task, prediction_folder=tmp_path)
    task.convert_to_reranking(tmp_path, top_k=5)
    run(RerankedSearch(model, "sinkhorn"), task, prediction_folder=tmp_path / "second")
    whole = problem(model)
    same(rerankit.Pipeline(["sinkhorn"]).rerank(whole, whole.ranking(5)), read(tmp_path / "second"))
    assert all(len(items) == 5 for items in read(tmp_path / "second").values())


def test_results_are_not_taken_for_those_of_the_model_alone(model, task, tmp_path):
    cache = mteb.ResultCache(tmp_path / "cache")
    found = {}
    for name, each in {
        "base": model,
        "sinkhorn": RerankedSearch(model, "sinkhorn"),
        "warm": RerankedSearch(model, "sinkhorn", k=10),
        "nnn": RerankedSearch(model, "nnn"),
        "bank": RerankedSearch(model, "nnn", bank=["violin wall"]),
    }.items():
        mteb.evaluate(each, task, cache=cache, show_progress_bar=False)
        found[name] = len(list((tmp_path / "cache").rglob("Toy.json")))
    assert list(found.values()) == [1, 2, 3, 4, 5]


def test_predictions_are_read_and_written(model, task, tmp_path):
    run(model, task, prediction_folder=tmp_path)
    first = problem_of(tmp_path / "Toy_predictions.json")
    assert set(first.query_ids.tolist()) == set(QUERIES)
    reranked = rerankit.rerank(first, "mutual-rank", k=5)
    name = json.loads((tmp_path / "Toy_predictions.json").read_text())["mteb_model_meta"]["model_name"]
    path = write_predictions(reranked, tmp_path, "Toy", model=name, split="reranked")
    assert problem_of(path, split="reranked").ranking().to_dict() == reranked.to_dict()
    assert problem_of(path).ranking().to_dict() == first.ranking().to_dict()
    other = write_predictions(reranked, tmp_path / "other", "Toy", model="mine")
    task.convert_to_reranking(other.parent, top_k=5)
    lists = task.dataset["default"]["test"]["top_ranked"]
    ids = reranked.gallery_ids
    assert {q: list(ids[items]) for q, items in zip(reranked.query_ids, reranked.indices, strict=True)} == dict(lists)
    with pytest.raises(InputError, match="'model' must be that of the predictions"):
        write_predictions(reranked, tmp_path, "Toy", model="another")
    with pytest.raises(InputError, match=r"unknown split 'dev'.*Known: reranked, test"):
        problem_of(path, split="dev")
    with pytest.raises(InputError, match="'ranking' must have ids"):
        write_predictions(Problem([[0.1, 0.2]]).ranking(), tmp_path, "Toy", model="mine")


def test_the_index_alone_takes_embeddings_in_parts():
    random = np.random.default_rng(0)
    queries, items = random.normal(size=(6, 8)).astype(np.float32), random.normal(size=(30, 8)).astype(np.float32)
    index = RerankingIndex("csls", metric="dot", k=10)
    with pytest.raises(InputError, match="an index must hold documents"):
        index.search(queries, 5, None)
    torch = pytest.importorskip("torch")
    index.add_documents(torch.from_numpy(items[:20]), [f"a{n}" for n in range(20)])
    index.add_documents(items[20:], [f"b{n}" for n in range(10)])
    scores, places = index.search(queries, 5, None)
    expected = rerankit.rerank(Problem.from_embeddings(queries, items, "dot"), rerankit.stage("csls").top(10), k=5)
    assert places == expected.indices.tolist()
    np.testing.assert_array_equal(scores, expected.scores)
    lists = {"x": ["a3", "b9"], "y": ["b1"]}
    scores, places = index.search(queries[:2], 5, None, top_ranked=lists, query_idx_to_id={0: "x", 1: "y"})
    assert [sorted(one) for one in places] == [[0, 1], [0]]
    assert [len(one) for one in scores] == [2, 1]


def test_what_is_wrong_is_said(model):
    with pytest.raises(InputError, match="unknown metric 'manhattan'"):
        RerankingIndex("nnn", metric="manhattan")
    with pytest.raises(InputError, match="unknown stage"):
        RerankedSearch(model, "sinkhrn")
    unsaid = mteb.SentenceTransformerEncoderWrapper(model)
    unsaid.mteb_model_meta = unsaid.mteb_model_meta.model_copy(update={"similarity_fn_name": None})
    with pytest.raises(InputError, match=r"'metric' must be cosine, dot, euclidean, since .* \(got None\)"):
        RerankedSearch(unsaid, "nnn")
    assert RerankedSearch(unsaid, "nnn", metric="dot").index_backend.metric == "dot"
