"""Composed retrieval with the weights that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit.demo import composed as demo
from rerankit.demo import shipped
from rerankit.demo.composed import Composition
from rerankit.stages.triplet.plan import TripletPlan
from rerankit.training import TrainingSettings


def test_what_a_text_asks_for_is_right_and_the_reference_is_left_out() -> None:
    drawn = Composition.drawn("test", 20)
    for row in range(20):
        right, _, excluded = drawn.relevance.of(row)
        assert len(right) == len(excluded) == 1
        assert drawn.query_features["reference_images"][row] is drawn.gallery_features["candidate_images"][excluded[0]]


def test_a_split_is_drawn_alike_each_time_and_unlike_the_others() -> None:
    one, again, other = (Composition.drawn(split, 5) for split in ("test", "test", "validation"))
    first, second, third = (np.asarray(each.gallery_features["candidate_images"][0]) for each in (one, again, other))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_stage_two_gains_with_the_weights_that_ship() -> None:
    part = demo.section(queries=40)
    one, two = part.tables[0].rows
    assert (one["ranked by"], two["ranked by"]) == ("stage I", "stage II")
    assert 60 < one["R@1"] <= two["R@1"] + 5
    assert two["R@5"] > 90
    assert "SHA-256" in part.card
    for example in part.examples:
        assert example.query.picture is not None
        assert example.query.text


def test_training_goes_through_the_loop_and_gives_weights_of_the_same_form(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = TrainingSettings(epochs=1, batch_size=8, device="cpu")
    monkeypatch.setattr(demo, "PLAN", TripletPlan(settings=settings, tune_images=("filter",), sizes=demo.SIZES))
    monkeypatch.setattr(demo, "QUERIES", 8)
    monkeypatch.setattr(demo, "RENDERINGS", 1)
    monkeypatch.setattr(demo, "ASKED", 4)
    arrays, histories = demo.train(tmp_path / "run")
    assert list(histories) == ["filter", "dual"]
    ours = shipped.weights(demo.NAME)
    different = {name for name in ours if name != "about" and arrays[name].shape != ours[name].shape}
    assert set(arrays) == set(ours)
    # Only the vocabulary depends on the texts that were seen.
    assert all("word_embeddings" in name for name in different)
