"""A dataset of ir_datasets made of local files: runs with texts, judgements, and figures by ir_measures."""

from __future__ import annotations

import pytest

import rerankit
from rerankit.errors import InputError

ir_datasets = pytest.importorskip("ir_datasets")

from rerankit.adapters.ir_datasets import problem_of  # noqa: E402

RUN = {"q1": {"d1": 0.9, "d3": 0.4}, "q2": {"d3": 0.8, "d2": 0.7}}


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "docs.tsv").write_text("d1\ta red wall\nd2\tan old castle\nd3\ta red castle\nd4\tunlisted\n")
    (tmp_path / "queries.tsv").write_text("q1\tred castle\nq2\told castle\nq3\tnobody asks\n")
    (tmp_path / "qrels").write_text("q1 0 d3 1\nq2 0 d2 2\n")
    return ir_datasets.create_dataset(
        str(tmp_path / "docs.tsv"), str(tmp_path / "queries.tsv"), str(tmp_path / "qrels")
    )


def test_a_run_with_the_texts_of_both_sides(dataset):
    problem = problem_of(dataset, RUN)
    assert dict(zip(problem.query_ids.tolist(), problem.query_features["text"], strict=True)) == {
        "q1": "red castle",
        "q2": "old castle",
    }
    assert list(problem.gallery_features["text"]) == ["a red wall", "an old castle", "a red castle"]
    assert problem.ranking().to_dict() == RUN


def test_judgements_go_to_evaluate_and_figures_are_those_of_ir_measures(dataset):
    measures = pytest.importorskip("ir_measures")
    qrels = list(dataset.qrels_iter())
    ranking = problem_of(dataset, RUN).ranking()
    ours = rerankit.evaluate(ranking, qrels, ["mrr", "ndcg@10"])
    theirs = measures.calc_aggregate([measures.RR, measures.nDCG @ 10], qrels, ranking.to_dict())
    assert ours["mrr"] == pytest.approx(theirs[measures.RR])
    assert ours["ndcg@10"] == pytest.approx(theirs[measures.nDCG @ 10])


def test_its_own_run(dataset):
    class Scored:
        """A dataset that has a run."""

        def __getattr__(self, name):
            return getattr(dataset, name)

        def has_scoreddocs(self):
            return True

        def scoreddocs_iter(self):
            kind = ir_datasets.formats.GenericScoredDoc
            return iter([kind(query, item, score) for query, items in RUN.items() for item, score in items.items()])

    assert problem_of(Scored()).ranking().to_dict() == RUN


def test_what_is_wrong_is_said(dataset):
    with pytest.raises(InputError, match="'run' must be given where the dataset has no scoreddocs"):
        problem_of(dataset)
    with pytest.raises(InputError, match=r"only documents of the dataset \(got 1 unknown, such as \['d9'\]"):
        problem_of(dataset, {"q1": {"d9": 1.0}})
    with pytest.raises(InputError, match="only queries of the dataset"):
        problem_of(dataset, {"q9": {"d1": 1.0}})
    with pytest.raises(InputError, match="'run' must be a run"):
        problem_of(dataset, [[0.1, 0.2]])


def test_a_run_whose_names_pandas_made_numbers_of(tmp_path):
    (tmp_path / "docs.tsv").write_text("10\ta red wall\n11\tan old castle\n")
    (tmp_path / "queries.tsv").write_text("1\told castle\n")
    (tmp_path / "qrels").write_text("1 0 11 1\n")
    numbered = ir_datasets.create_dataset(*(str(tmp_path / name) for name in ("docs.tsv", "queries.tsv", "qrels")))
    problem = problem_of(numbered, {1: {10: 0.9, 11: 0.4}})
    assert problem.ranking().to_dict() == {"1": {"10": 0.9, "11": 0.4}}
    assert list(problem.gallery_features["text"]) == ["a red wall", "an old castle"]
