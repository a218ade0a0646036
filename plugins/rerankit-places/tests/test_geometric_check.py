"""Pictures of one front seen from elsewhere, and points that fit by construction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Problem, errors, rerank
from rerankit.testing import STAGE_CHECKS, make_problem

cv2 = pytest.importorskip("cv2", reason="cv2 is not installed: pip install opencv-python-headless")

from rerankit_places import local_features  # noqa: E402
from rerankit_places.geometric_check import GeometricCheck  # noqa: E402


def points(scene: int, view: int, count: int = 30) -> np.ndarray[Any, Any]:
    """Local features of a flat scene: its points moved by the view, its descriptors with a little noise."""
    fixed, moved = np.random.default_rng(scene), np.random.default_rng(1000 * scene + view)
    where, looks = fixed.uniform(0, 400, size=(count, 2)), fixed.normal(size=(count, 16))
    turn = np.array([[0.9, -0.2], [0.25, 1.1]]) if view else np.eye(2)
    rows = np.hstack([where @ turn + 15 * view, looks + 0.05 * moved.normal(size=looks.shape)])
    return rows.astype(np.float32)


def problem_with_points(queries: int, gallery: int, seed: int) -> Problem:
    problem = make_problem(queries, gallery, seed)
    return problem.with_features(
        query_features={"local": [points(seed + row % 3, 1) for row in range(queries)]},
        gallery_features={"local": [points(seed + row % 3, 0, 12 + 6 * (row % 4)) for row in range(gallery)]},
    )


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Any) -> None:
    check(lambda: GeometricCheck("homography"), problem_with_points)


@pytest.mark.parametrize("model", ["homography", "fundamental"])
def test_views_of_one_scene_fit_and_those_of_others_do_not(model: str) -> None:
    stage = GeometricCheck(model)
    assert stage.fitting(points(0, 1), points(0, 0)) >= 25
    scrambled = points(0, 0)
    scrambled[:, :2] = np.random.default_rng(5).uniform(0, 400, size=(30, 2))
    assert stage.fitting(points(0, 1), scrambled) < 25  # the same looks at other places
    assert stage.fitting(points(0, 1), points(0, 0)[:9]) == 0


def test_what_fits_comes_first_and_the_rest_keeps_its_order() -> None:
    problem = Problem(
        [[0.9, 0.8, 0.7, 0.6]],
        query_features={"local": [points(4, 1)]},
        gallery_features={"local": [points(scene, 0) for scene in (1, 2, 4, 3)]},
    )
    found = rerank(problem, GeometricCheck("homography", at_least=20))
    assert found.indices.tolist() == [[2, 0, 1, 3]]
    assert found.scores[0].round().tolist() == [30, 0, 0, 0]


def front(seed: int) -> np.ndarray[Any, Any]:
    """A picture with windows of many sizes and shades."""
    random = np.random.default_rng(seed)
    picture = np.full((240, 320), 90, np.uint8)
    for _ in range(60):
        x, y, width, height = (int(one) for one in random.integers([0, 0, 8, 8], [300, 220, 50, 50]))
        picture[y : y + height, x : x + width] = int(random.integers(0, 255))
    return picture


def test_pictures_from_elsewhere(tmp_path: Path) -> None:
    turn = np.float64([[0.95, 0.08, 12], [-0.06, 1.02, 5], [1e-4, 0, 1]])
    seen = [cv2.warpPerspective(front(seed), turn, (320, 240)) for seed in range(4)]
    cv2.imwrite(str(tmp_path / "one.png"), seen[0])
    queries = local_features([tmp_path / "one.png", *seen[1:3], np.stack([seen[3]] * 3, axis=2)])
    gallery = local_features([front(seed) for seed in range(6)])
    scores = np.tile(np.linspace(1, 0, 6), (4, 1))
    problem = Problem(scores, query_features={"local": queries}, gallery_features={"local": gallery})
    for model in ("homography", "fundamental"):
        assert rerank(problem, GeometricCheck(model)).indices[:, 0].tolist() == [0, 1, 2, 3]


def test_pictures_that_are_none(tmp_path: Path) -> None:
    assert local_features([np.zeros((40, 40), np.uint8)])[0].shape == (1, 130)
    with pytest.raises(errors.InputError, match="must be paths or arrays of bytes"):
        local_features([np.zeros((40, 40))])
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(errors.InputError, match=r"no\.png' cannot be read as a picture"):
        local_features([tmp_path / "no.png"])
    problem = Problem([[1.0]], query_features={"local": [[[1.0, 2.0]]]}, gallery_features={"local": [[[1.0, 2.0]]]})
    with pytest.raises(errors.StageError, match="must have rows x, y, descriptor"):
        rerank(problem, GeometricCheck())
    with pytest.raises(errors.InputError, match="'at_least' must be at least 8"):
        GeometricCheck(at_least=3)
