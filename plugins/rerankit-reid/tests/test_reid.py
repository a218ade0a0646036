"""Tasks by hand-made names, and the stage on scenes in which cameras are known to interfere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rerankit_reid
from rerankit import Gallery, ListScores, Problem, errors, evaluate, load, prepare, rerank, stages_available
from rerankit.plugins import manager
from rerankit.testing import STAGE_CHECKS, make_problem
from rerankit_reid.camera_aware import CameraAware
from rerankit_reid.cross_camera import Sightings, cross_camera
from rerankit_reid.msmt17 import MSMT17
from rerankit_reid.veri776 import VeRi776


def problem_with_cameras(queries: int, gallery: int, seed: int) -> Problem:
    random = np.random.default_rng(seed)
    return make_problem(queries, gallery, seed).with_features(
        query_features={"camera": random.integers(0, 3, queries)},
        gallery_features={"camera": random.integers(0, 3, gallery)},
    )


@pytest.mark.parametrize("check", STAGE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check):
    check(CameraAware, problem_with_cameras)


def scene(cameras: float, seed: int = 0) -> tuple[Problem, Sightings, Sightings]:
    """Sixty persons in four cameras, each of which lends its pictures something of its own."""
    random = np.random.default_rng(seed)
    persons, places = random.normal(size=(60, 32)), cameras * random.normal(size=(4, 32))

    def seen(things, by):
        return persons[things] + places[by] + 0.9 * random.normal(size=(len(things), 32))

    things, by = np.repeat(np.arange(60), 4), np.tile(np.arange(4), 60)
    asked, asked_by = np.arange(60), random.integers(0, 4, 60)
    problem = Problem.from_embeddings(
        seen(asked, asked_by),
        seen(things, by),
        query_features={"camera": asked_by},
        gallery_features={"camera": [int(one) for one in by]},
    )
    sides = Sightings(("",) * 60, asked, asked_by), Sightings(("",) * 240, things, by)
    return problem.excluding(cross_camera(*sides).excluded), *sides


def found(problem: Problem, sides: tuple[Sightings, Sightings], stage: CameraAware | None) -> float:
    ranking = problem.ranking() if stage is None else rerank(problem, stage, k=None)
    return evaluate(ranking, cross_camera(*sides), "map")["map"]


def test_it_finds_more_where_cameras_interfere_and_loses_nothing_where_they_do_not():
    problem, *sides = scene(1.0)
    assert found(problem, sides, CameraAware()) > found(problem, sides, None) + 0.1
    problem, *sides = scene(0.0)
    assert found(problem, sides, CameraAware()) > found(problem, sides, None) - 0.01


def test_what_is_usual_is_a_mean_over_pairs_of_pictures():
    among = np.array([[9, 4, 1], [4, 9, 3], [1, 3, 9]], np.float32)
    gallery = Gallery.from_scores(gallery_scores=among, features={"camera": ["a", "a", "b"]})
    cameras = CameraAware(prior=0).cameras(gallery)
    assert cameras.names == ("a", "b")
    # of camera a: the pair (0, 1) twice with itself, (0, 2) and (1, 2) with b; the mean of all is 3
    np.testing.assert_allclose(cameras.usual, [[4 - 3, 2 - 3], [2 - 2, 0]], atol=1e-6)  # b has no pair of its own
    shrunk = CameraAware(prior=6).cameras(gallery)
    np.testing.assert_allclose(shrunk.usual[0], [1 * 2 / 8, -1 * 2 / 8], atol=1e-6)


def test_lists_of_the_gallery_count_the_pairs_that_they_have():
    lists = ListScores([[1, -1], [0, 2], [1, -1]], [[4, 0], [4, 3], [3, 0]], 3)
    gallery = Gallery.from_scores(gallery_scores=lists, features={"camera": ["a", "a", "b"]})
    np.testing.assert_allclose(CameraAware(prior=0).cameras(gallery).usual[0], [4 - 11 / 3, 3 - 11 / 3], rtol=1e-5)


def test_an_unknown_camera_keeps_the_order():
    problem = scene(1.0)[0].subset([0], None)
    strange = problem.with_features(query_features={"camera": ["elsewhere"]})
    assert np.array_equal(rerank(strange, CameraAware(), k=9).indices, strange.ranking(9).indices)


@pytest.fixture
def registered():
    """The plugin, before it is installed too."""
    known = "camera-aware" in stages_available()
    if not known:
        manager().register(rerankit_reid, "reid under test")
    yield
    if not known:
        manager().unregister("reid under test")


@pytest.mark.usefixtures("registered")
def test_prepared_it_keeps_the_cameras(tmp_path: Path):
    random = np.random.default_rng(0)
    gallery = Gallery(random.normal(size=(30, 8)), features={"camera": [1, 2, 3] * 10})
    ready = prepare(CameraAware(prior=1), gallery)
    query, camera = random.normal(size=(2, 8)), {"camera": [1, 3]}
    answer = ready.rerank(query, k=9, features=camera)
    assert not np.array_equal(answer.indices, gallery.problem(query, features=camera).ranking(9).indices)
    ready.save(tmp_path / "ready")
    assert load(tmp_path / "ready").rerank(query, k=9, features=camera) == answer


def test_bad_parameters_are_refused():
    with pytest.raises(errors.InputError, match="'weight' must be at least 0"):
        CameraAware(weight=-1)
    with pytest.raises(errors.UnmetNeedError, match="'camera-aware' needs query_features:camera"):
        rerank([[0.1, 0.2]], CameraAware())


@pytest.mark.parametrize("made", [MSMT17(), VeRi776()], ids=lambda task: task.card.name)
def test_a_miniature_is_read_by_the_protocol(made, tmp_path: Path):
    small = made.write_miniature(tmp_path)
    benchmark = small.load(tmp_path)
    (part,) = benchmark.parts
    assert benchmark.matrices["scores"].shape == (5, 15)
    assert part.relevance.counts.tolist() == [2] * 5  # the other two cameras
    assert len(part.relevance.excluded) == 5  # the same camera
    assert benchmark.matrices["scores"].gallery_features["camera"].tolist() == [1, 2, 3] * 5
    assert part.together == benchmark.parts[0].together
    with pytest.raises(errors.FormatError, match="must hold"):
        made.load(tmp_path)  # whose numbers are those of the published split


def test_names_that_say_nothing_are_refused(tmp_path: Path):
    MSMT17().write_miniature(tmp_path)
    (tmp_path / "list_query.txt").write_text("somebody.jpg 3\n")
    with pytest.raises(errors.FormatError, match=r"must name pictures like 0000/0000_000_01.*somebody"):
        MSMT17(None, None).load(tmp_path)
    with pytest.raises(errors.InputError, match="image_query"):
        VeRi776(None, None).load(tmp_path)


def test_the_hooks_register_these_names():
    names: dict[str, str] = {}
    rerankit_reid.rerankit_register_stages(names.__setitem__)
    rerankit_reid.rerankit_register_tasks(names.__setitem__)
    assert set(names) == {"camera-aware", "msmt17", "veri776"}
