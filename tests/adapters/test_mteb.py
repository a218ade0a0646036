"""Stages inside `mteb.evaluate`: a real retrieval task out of local files, run to the end with a real small model."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Relevance
from rerankit.errors import InputError

mteb = pytest.importorskip("mteb")

import datasets  # noqa: E402
from datasets import Dataset  # noqa: E402

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
def task(tmp_path, monkeypatch):
    """A retrieval task whose files lie in a folder of this machine."""
    # datasets knows a folder by its name, and would give the files of another that it has read.
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
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
    with pytest.raises(InputError, match=r"unknown task of 'bank' 'Toy'.*Known: Other"):
        run(RerankedSearch(model, "nnn", bank={"Other": old}), task)
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


class Listed(mteb.abstasks.AbsTaskRetrieval):
    """A task whose rows are in memory."""

    rows: ClassVar[dict]

    def load_data(self, **options):
        datasets = {name: Dataset.from_list(self.rows[name]) for name in ("corpus", "queries")}
        right = {row["id"]: {row["right"]: 1} for row in self.rows["queries"]}
        self.dataset = {"default": {"test": {**datasets, "relevant_docs": right, "top_ranked": self.rows.get("top")}}}
        self.data_loaded = True


def described(name, category, modalities):
    return mteb.abstasks.task_metadata.TaskMetadata(
        name=name,
        dataset={"path": "of/this/file", "revision": "1"},
        description=name,
        type="Any2AnyRetrieval" if "image" in modalities else "Retrieval",
        category=category,
        modalities=modalities,
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )


@pytest.mark.parametrize("top", [None, "named"])
def test_queries_among_the_documents_are_left_out(model, tmp_path, top):
    names = list(DOCUMENTS)
    texts = {name: " ".join(both) for name, both in DOCUMENTS.items()}
    asked = names[:10]

    class Twins(Listed):
        metadata = described("Twins", "t2t", ["text"])
        ignore_identical_ids = True
        rows: ClassVar = {
            "corpus": [{"id": name, "text": text} for name, text in texts.items()],
            "queries": [{"id": name, "text": texts[name], "right": names[n + 1]} for n, name in enumerate(asked)],
            "top": dict.fromkeys(asked, names[:20]) if top else None,
        }

    run(RerankedSearch(model, "sinkhorn", k=20, ignore_identical_ids=True), Twins(), prediction_folder=tmp_path)
    from rerankit.adapters.sentence_transformers import problem_of as encoded

    whole = encoded(model, {name: texts[name] for name in asked}, texts, exclude=[[row] for row in range(10)])
    first = whole.ranking(20)
    if top:
        first = Problem(
            {q: dict.fromkeys(names[:20], 0.0) for q in asked}, query_ids=asked, gallery_ids=names
        ).ranking()
        scores = whole.scores.pairs(np.arange(10)[:, None], first.indices)
        first = rerankit.Ranking.ordered(first.indices, scores, gallery_size=len(names)).excluding(whole.excluded)
    found = json.loads((tmp_path / "Twins_predictions.json").read_text())["default"]["test"]
    expected = rerankit.Pipeline(["sinkhorn"]).rerank(whole, first)
    for row, query in enumerate(asked):
        ours = [names[item] for item in expected.indices[row] if item >= 0]
        theirs = sorted(found[query], key=found[query].get, reverse=True)
        assert theirs[: len(ours)] == ours
        assert query not in theirs


def test_pictures_reach_stages_that_need_them(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    colours = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
    drawn = {name: pil.new("RGB", (4, 4), colour) for name, colour in colours.items()}

    class Colours(Listed):
        metadata = described("Colours", "t2i", ["text", "image"])
        rows: ClassVar = {
            "corpus": [{"id": f"p-{name}", "image": picture} for name, picture in drawn.items()],
            "queries": [{"id": f"q-{name}", "text": name, "right": f"p-{name}"} for name in colours],
        }

    class Blind(mteb.models.abs_encoder.AbsEncoder):
        """An encoder of texts and pictures that sees nothing: all vectors are alike."""

        def __init__(self):
            self.mteb_model_meta = mteb.models.ModelMeta.create_empty(
                overwrites={
                    "name": "me/blind",
                    "revision": "1",
                    "similarity_fn_name": "cosine",
                    "modalities": ["text", "image"],
                }
            )

        def encode(self, inputs, **options):
            count = sum(len(next(iter(batch.values()))) for batch in inputs)
            return np.ones((count, 4), np.float32)

    class Look(rerankit.Stage):
        """How much a picture has of the colour that a text names."""

        name = "look"
        needs = ("query_features:text", "gallery_features:images")

        def rescore(self, problem, ranking):
            means = [np.asarray(one).mean(axis=(0, 1)) for one in problem.gallery_features["images"]]
            places = [list(colours).index(text) for text in problem.query_features["text"]]
            return [[means[item][places[row]] for item in items] for row, items in enumerate(ranking.indices)]

    assert run(RerankedSearch(Blind(), Look()), Colours())["recall_at_1"] == 1
    with pytest.raises(rerankit.errors.UnmetNeedError, match="gallery_features:images"):
        run(RerankedSearch(Blind(), Look()), Words())


class Words(Listed):
    metadata = described("Words", "t2t", ["text"])
    rows: ClassVar = {
        "corpus": [{"id": "d", "text": "red"}, {"id": "e", "text": "blue"}],
        "queries": [{"id": "q", "text": "red", "right": "d"}],
    }


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
        "others": RerankedSearch(model, "nnn", ignore_identical_ids=True),
    }.items():
        mteb.evaluate(each, task, cache=cache, show_progress_bar=False)
        found[name] = len(list((tmp_path / "cache").rglob("Toy.json")))
    assert list(found.values()) == [1, 2, 3, 4, 5, 6]


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
