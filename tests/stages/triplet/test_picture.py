"""The picture of a composed query."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from rerankit import Feature, Problem, Relevance
from rerankit.errors import InputError
from rerankit.stages.triplet.picture import compose, save_picture


@pytest.fixture
def seen(tmp_path):
    for name in "abc":
        Image.new("RGB", (10, 20), (250, 0, 0)).save(tmp_path / f"{name}.png")
    problem = Problem(
        [[0.3, 0.2, 0.1]],
        query_ids=["q<1>"],
        gallery_ids=["a", "b", "c"],
        features={"captions": Feature([["is red", "is long"]], "query"), "reference": Feature(["b"], "query")},
    )
    before = problem.ranking()
    return problem, before, before.with_scores(np.array([[0.1, 0.9, 0.3]])), str(tmp_path / "{id}.png")


def test_png_and_html(seen, tmp_path):
    problem, before, after, images = seen
    relevance = Relevance.from_lists([[1]], 3)
    shown = compose(problem, 0, before, after, relevance=relevance, k=2, images=images)
    assert [(label, [(name, right) for name, _, right in items]) for label, items in shown.rows] == [
        ("before", [("1. a", False), ("2. b", True)]),
        ("after", [("1. b", True), ("2. c", False)]),
    ]
    without = compose(
        problem, 0, before, after, relevance=Relevance.from_lists([[1]], 3, excluded=[[0]]), k=1, images=images
    )
    assert [items[0][0] for _, items in without.rows] == ["1. b", "1. b"]
    with Image.open(save_picture(shown, tmp_path / "q.png", size=40)) as picture:
        pixels = np.asarray(picture)
    assert ((pixels == (22, 140, 60)).all(axis=2)).sum() > 100
    page = save_picture(shown, tmp_path / "q.html").read_text(encoding="utf-8")
    assert "q&lt;1&gt;: is red and is long" in page
    assert page.count("(target)</figcaption>") == 2


def test_what_is_refused(seen, tmp_path):
    problem, before, after, images = seen
    with pytest.raises(InputError, match=r"'query' must be in 0…0 \(got 1\)"):
        compose(problem, 1, before, after, images=images)
    with pytest.raises(InputError, match="'problem' must have the feature 'reference_images'"):
        compose(problem, 0, before, after)
    with pytest.raises(InputError, match=r"must end in .png or .html"):
        save_picture(compose(problem, 0, before, after, images=images), tmp_path / "q.gif")
