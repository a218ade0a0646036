"""Canvases: what is drawn is what is said, and regions tell it apart."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit.errors import InputError
from rerankit.tasks.miniatures.canvases import COLOURS, PLACES, REGION, SIDE, Thing, describe, draw, regions, things

pytest.importorskip("PIL", reason="Pillow is not installed")

ONE = (Thing("square", "red", "big", "top right"),)
TWO = (*ONE, Thing("circle", "blue", "small", "bottom left"))


def test_a_thing_lies_where_it_is_said_to_and_has_its_colour() -> None:
    pixels = np.asarray(draw(ONE, np.random.default_rng(0)), np.float32)
    assert pixels.shape == (3 * SIDE, 3 * SIDE, 3)
    middle = pixels[SIDE // 2, 2 * SIDE + SIDE // 2]
    assert np.abs(middle - COLOURS["red"]).max() < 40
    assert pixels[:, : 2 * SIDE].max() < 110  # the ground is dark


def test_two_drawings_of_a_canvas_differ() -> None:
    rng = np.random.default_rng(0)
    assert not np.array_equal(np.asarray(draw(TWO, rng)), np.asarray(draw(TWO, rng)))


def test_regions_are_the_filled_places_in_their_order() -> None:
    found = regions(draw(TWO, np.random.default_rng(1)))
    assert found.shape == (2, REGION)
    assert [PLACES[row] for row in found[:, -9:].argmax(axis=1)] == ["top right", "bottom left"]


def test_regions_of_one_thing_drawn_twice_are_nearer_than_those_of_two() -> None:
    rng = np.random.default_rng(2)
    first, again = (regions(draw(TWO, rng)) for _ in range(2))
    near = (first * again).sum(axis=1)
    assert (near > 2.5).all()  # three parts, each of length 1
    assert (first[0] @ again[1]) < 1.5


def test_a_new_canvas_has_its_things_in_different_places() -> None:
    for seed in range(20):
        places = [each.place for each in things(np.random.default_rng(seed))]
        assert len(set(places)) == len(places) == 5


def test_descriptions_differ_and_name_something_of_the_canvas() -> None:
    said = describe(TWO, 6, np.random.default_rng(0))
    assert len(set(said)) == 6
    for text in said:
        words = set(text.split())
        red, blue = ({"red", "square", "big"} & words, {"blue", "circle", "small"} & words)
        assert bool(red) != bool(blue), text


def test_descriptions_name_every_thing_before_one_comes_again() -> None:
    canvas = things(np.random.default_rng(3))
    kinds = [{each.kind, each.colour, each.size} for each in canvas]
    first = describe(canvas, 5, np.random.default_rng(4))
    assert all(any(set(text.split()) & kind for text in first) for kind in kinds)


def test_more_descriptions_than_there_are_is_refused() -> None:
    assert len(describe(ONE, 5, np.random.default_rng(0))) == 5
    with pytest.raises(InputError, match=r"'rounds' must be at most 5 for each of the 1 things \(got 6\)"):
        describe(ONE, 6, np.random.default_rng(0))
