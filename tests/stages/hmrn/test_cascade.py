"""The curve of the cascade against a walk through every depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit import Relevance
from rerankit.errors import InputError
from rerankit.stages.hmrn.cascade import CascadeCurve, cascade_curve


def scores(seed: int = 0) -> tuple[np.ndarray, np.ndarray, Relevance]:
    random = np.random.default_rng(seed)
    cheap = np.round(random.normal(size=(20, 12)), 1).astype(np.float32)
    joint = np.round(cheap + random.random((20, 12)), 1).astype(np.float32)
    return cheap, joint, Relevance.from_lists([[int(i)] for i in random.integers(12, size=20)], gallery_size=12)


def test_every_depth_equals_its_own_cascade() -> None:
    cheap, joint, relevance = scores()
    curve = cascade_curve(cheap, joint, relevance)
    for depth in range(1, 13):
        hits = []
        for row in range(20):
            best = np.lexsort((np.arange(12), -cheap[row]))[:depth]
            first = min(best, key=lambda item: (-joint[row, item], item))
            hits.append(first in relevance.of(row).items)
        assert curve.hits[depth - 1] == pytest.approx(np.mean(hits))


def test_the_smallest_depth_keeps_the_bound_from_there_on() -> None:
    curve = CascadeCurve(np.array([0.5, 0.8, 0.7, 0.8]), np.zeros(4), searches=10)
    assert curve.smallest(0.0) == 4
    assert curve.smallest(0.1) == 2
    assert curve.smallest(0.3) == 1
    assert curve.loss(3) == pytest.approx(0.1)
    with pytest.raises(InputError, match="'bound' must be between 0 and 1"):
        curve.smallest(1.5)


def test_confidence_and_table() -> None:
    curve = CascadeCurve(np.array([0.5, 0.6]), np.array([0.1, 0.0]), searches=100)
    assert curve.upper(2) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert curve.upper(1) > 0.1
    assert [row["depth"] for row in curve.rows()] == [1, 2]


def test_plot(tmp_path: Path) -> None:
    cascade_curve(*scores()).plot(tmp_path / "curve.png", depth=3)
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_shapes_must_agree() -> None:
    cheap, joint, relevance = scores()
    with pytest.raises(InputError, match="shape"):
        cascade_curve(cheap[:3], joint, relevance)
