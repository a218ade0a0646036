"""Drawn canvases for search with several descriptions: shapes on a grid, and texts that each name one of them.

A canvas has some of nine places filled, each with one shape of a colour and a size. A description says only some of
that ("a red circle", "something blue at the top"), so it fits many canvases, and several together fit one. The
regions of a canvas are its filled places, described from the pixels without any learning. Everything is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.errors import rule
from rerankit.extras import require
from rerankit.tasks.miniatures.scenes import COLOURS, SHAPES, draw_shape

SIZES = {"small": 0.27, "big": 0.42}
"""Radii, as shares of a place."""
PLACES = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")
SIDE = 24
"""Pixels of a place; a canvas is three times as wide and high."""
REGION = 8 * 8 + 27 + 9
"""Numbers of a region: where it differs from the ground, which colours it has, where it lies."""
_LARGE = 4  # drawn so much larger and reduced, so that edges are smooth
_FILLED = 5
_FORMS = 5
_LEAST = 0.06  # a place with less than this share of other colours than the ground is empty


@dataclass(frozen=True)
class Thing:
    """One shape on a canvas.

    >>> Thing("circle", "red", "big", "top left")
    Thing(kind='circle', colour='red', size='big', place='top left')
    """

    kind: str
    colour: str
    size: str
    place: str


def things(rng: np.random.Generator) -> tuple[Thing, ...]:
    """What is on a new canvas."""
    places = rng.choice(len(PLACES), _FILLED, replace=False)
    colours, sizes = tuple(COLOURS), tuple(SIZES)
    return tuple(
        Thing(_any(SHAPES, rng), _any(colours, rng), _any(sizes, rng), PLACES[place]) for place in sorted(places)
    )


def describe(canvas: Sequence[Thing], rounds: int, rng: np.random.Generator) -> list[str]:
    """Descriptions of a canvas, all different: of each thing once, then of some again."""
    if rounds > _FORMS * len(canvas):
        raise rule("rounds", f"must be at most {_FORMS} for each of the {len(canvas)} things", rounds)
    order: list[Thing] = []
    described: list[str] = []
    while len(described) < rounds:
        order = order or [canvas[number] for _ in range(rounds) for number in rng.permutation(len(canvas))]
        text = _description(order.pop(0), rng)
        if text not in described:
            described.append(text)
    return described


def draw(canvas: Sequence[Thing], rng: np.random.Generator) -> Any:
    """A picture of the canvas (72 × 72), no two alike."""
    pil, pen = (require(f"PIL.{name}", extra="report", purpose="drawing") for name in ("Image", "ImageDraw"))
    side = SIDE * _LARGE
    ground = tuple(int(each) for each in rng.integers(20, 70, 3))
    picture = pil.new("RGB", (3 * side, 3 * side), ground)
    brush = pen.Draw(picture)
    for thing in canvas:
        down, across = divmod(PLACES.index(thing.place), 3)
        x, y = (side * (place + 0.5 + rng.uniform(-0.06, 0.06)) for place in (across, down))
        tint = np.clip(np.array(COLOURS[thing.colour]) + rng.integers(-12, 13, 3), 0, 255)
        radius = SIZES[thing.size] * side * rng.uniform(0.92, 1.05)
        draw_shape(brush, thing.kind, x, y, radius, rng, tuple(int(each) for each in tint))
    small = np.asarray(picture.resize((3 * SIDE, 3 * SIDE), pil.Resampling.LANCZOS), np.float32)
    noisy = np.clip(small + rng.normal(0, 6, small.shape), 0, 255).astype(np.uint8)
    return pil.fromarray(noisy)


def regions(picture: Any) -> FloatArray:
    """The filled places of a picture, (regions, REGION), from its pixels."""
    pixels = np.asarray(picture, np.float32) / 255
    ground = np.median(pixels.reshape(-1, 3), axis=0)
    found = []
    for place in range(len(PLACES)):
        down, across = (SIDE * each for each in divmod(place, 3))
        cell = pixels[down : down + SIDE, across : across + SIDE]
        apart = np.minimum(np.abs(cell - ground).max(axis=2) * 4, 1.0)
        apart[apart < 0.5] = 0.0
        if apart.mean() >= _LEAST:
            found.append(_region(cell, apart, place))
    return np.stack(found).astype(np.float32)


def _region(cell: Any, apart: Any, place: int) -> Any:
    """Where a place differs from the ground (8 × 8), its colours (27 of them) and where it is (9)."""
    step = SIDE // 8
    outline = apart.reshape(8, step, 8, step).mean(axis=(1, 3)).ravel()
    levels = np.minimum((cell * 3).astype(np.int64), 2) @ np.array([9, 3, 1])
    colours = np.bincount(levels.ravel(), apart.ravel(), 27) / apart.sum()
    where = np.eye(len(PLACES))[place]
    parts = (outline - outline.mean(), colours, where)
    return np.concatenate([part / np.linalg.norm(part) for part in parts])


def _description(thing: Thing, rng: np.random.Generator) -> str:
    where = {"middle": "in the middle"}.get(thing.place, f"at the {thing.place}")
    texts = (
        f"a {thing.colour} {thing.kind}",
        f"a {thing.size} {thing.colour} {thing.kind}",
        f"something {thing.colour} {where}",
        f"a {thing.size} {thing.kind}",
        f"a {thing.kind} {where}",
    )
    return _any(texts, rng)


def _any(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
