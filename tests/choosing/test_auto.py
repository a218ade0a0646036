"""The stage that chooses: it keeps what it chose, and leaves alone what it cannot judge."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Pipeline, Problem, Relevance, stage
from rerankit.errors import InputError


def hubby(queries: int = 150, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(queries, queries)) + 1.5 * random.normal(size=queries) + 5 * np.eye(queries)


def test_without_labels_the_notes_say_what_was_chosen_and_why():
    after = rerankit.rerank(hubby(), "auto", k=20)
    assert after.notes["auto"]["chosen"] == ["stage('sinkhorn')"]
    assert "p = " in after.notes["auto"]["reason"]
    assert np.array_equal(after.indices, rerankit.rerank(hubby(), "sinkhorn", k=20).indices)


def test_noise_and_few_queries_are_left_alone():
    for scores in (np.random.default_rng(0).normal(size=(150, 150)), hubby()[:3], hubby()[:1]):
        problem = Problem(scores)
        after = rerankit.rerank(problem, "auto", k=20)
        assert after.notes["auto"]["chosen"] == []
        assert after.notes["auto"]["reason"].startswith("left alone")
        assert np.array_equal(after.indices, problem.ranking(20).indices)


def test_fit_keeps_the_choice_in_files_too(tmp_path):
    fitted = stage("auto").fit(Problem(hubby()), Relevance.from_dense(np.eye(150)))
    assert [one.name for one in fitted.chosen.stages] == ["sinkhorn"]
    fitted.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    assert again == fitted
    found = rerankit.rerank(hubby(seed=1), again, k=20)
    assert np.array_equal(found.indices, rerankit.rerank(hubby(seed=1), "sinkhorn", k=20).indices)
    assert found.notes["auto"]["reason"] == "chosen by fit"


def test_parameters():
    with pytest.raises(InputError, match="'chosen' must be a pipeline or None"):
        stage("auto", chosen="sinkhorn")
    with pytest.raises(InputError, match="'significance' must be"):
        stage("auto", significance=2)
    turned = stage("auto", chosen=Pipeline([stage("consensus", voters="gallery")])).reversed()
    assert turned.chosen.stages[0].voters == "query"


def test_what_was_chosen_is_prepared(monkeypatch):
    bank = rerankit.Bank(to_gallery=hubby(seed=2))
    ready = rerankit.prepare(stage("auto", chosen=Pipeline(["nnn"])), rerankit.Gallery.from_scores(bank=bank))
    batch = rerankit.rerank(Problem(hubby(), query_bank=bank), "nnn", k=9)
    monkeypatch.setattr("rerankit.stages.hubness.nnn.NNN.correction", None)
    found = ready.rerank(scores=hubby(), k=9)
    assert found == batch
    assert found.notes["auto"]["chosen"] == ["stage('nnn')"]
    with pytest.raises(rerankit.errors.UnmetNeedError, match="stage 'nnn' looks at the other test queries"):
        rerankit.prepare(stage("auto", chosen=Pipeline(["nnn"])), rerankit.Gallery.from_scores(size=9))
