"""The hierarchical scorer at a gallery that stands ready: pictures are encoded once."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Gallery, load, prepare
from rerankit.errors import InputError
from rerankit.features import Regions

pytest.importorskip("torch")


def standing(cases, rows, seed=4):
    """A gallery of some of the pictures."""
    made = cases.problem(3, 9, seed)
    regions = made.gallery_features["regions"].take(np.asarray(rows))
    return Gallery.from_scores(size=len(rows), features={"regions": regions})


def ask(cases, ready, seed=4):
    made = cases.problem(3, 9, seed)
    return ready.rerank(candidates=[[4, 0, 6], [1, 2, 3], [8, 7, 5]], features=made.query_features)


@pytest.mark.parametrize("encoded", ["float32", "float16"])
def test_pictures_are_encoded_once_and_kept_in_the_precision_that_is_asked_for(cases, encoded, tmp_path, monkeypatch):
    stage = cases.small("ensemble", encoded=encoded)
    ready = prepare(stage, standing(cases, range(9)))
    made = cases.problem(3, 9, 4)
    batch = stage.rerank(made, made.ranking().keep(np.ones((3, 9), bool)))
    expected = ask(cases, ready)
    for row in range(3):
        both = dict(zip(batch.indices[row], batch.scores[row], strict=True))
        np.testing.assert_allclose([both[item] for item in expected.indices[row]], expected.scores[row], rtol=1e-4)
    ready.save(tmp_path / "ready")
    loaded = load(tmp_path / "ready")
    monkeypatch.setattr("rerankit.stages.hmrn.scoring.Scorer.images", None)
    assert ask(cases, ready) == expected
    assert ask(cases, loaded) == expected
    item = 2 if encoded == "float16" else 4
    assert ready.info()[0]["bytes"] == 2 * (9 * 5 * 8 * item + 9 * 8 + 9 * 8 * 4)  # regions, counts, pooled vectors
    assert ready.info()[0]["keeps"] == "every picture's regions as the networks encode them"


def test_new_pictures_alone_are_encoded(cases, monkeypatch):
    ready = prepare(cases.small(), standing(cases, range(7)))
    seen = []
    images = type(ready.pipeline.stages[0].scorer).images
    monkeypatch.setattr(
        "rerankit.stages.hmrn.scoring.Scorer.images", lambda self, given: seen.append(len(given)) or images(self, given)
    )
    grown = ready.updated(add=standing(cases, [7, 8]), remove=[0])
    assert seen == [2]
    whole = prepare(cases.small(), standing(cases, [1, 2, 3, 4, 5, 6, 7, 8]))
    made = cases.problem(3, 9, 4)
    candidates = [[3, 0, 6], [1, 2, 3], [7, 6, 5]]
    one, other = (each.rerank(candidates=candidates, features=made.query_features) for each in (grown, whole))
    assert (one.indices == other.indices).all()
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)
    assert grown.info()[0]["update"] == "its items alone"
    assert grown.info()[0]["exact"] is False


def test_pictures_of_another_width_are_refused_before_any_query(cases):
    wrong = Gallery.from_scores(size=2, features={"regions": Regions(np.ones((2, 5, 6)))})
    with pytest.raises(InputError, match="'regions' must have vectors of width 7"):
        prepare(cases.small(), wrong)
