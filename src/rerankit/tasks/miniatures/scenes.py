"""Drawn scenes for composed retrieval: coloured shapes, and texts that change one thing about them.

A scene is one kind of shape in one colour, a number of them, in one part of the picture. No two renderings
of a scene are alike: places, sizes, rotation, ground and noise differ. Everything is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from rerankit.extras import require

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "red": (214, 48, 49),
    "green": (39, 174, 96),
    "blue": (41, 98, 255),
    "yellow": (241, 196, 15),
    "purple": (142, 68, 173),
    "white": (245, 245, 245),
}
COUNTS = ("one", "two", "three", "four")
PLACES = {"top left": (0, 0), "top right": (1, 0), "bottom left": (0, 1), "bottom right": (1, 1)}
PARTS = ("shape", "colour", "count", "place")


@dataclass(frozen=True)
class Scene:
    """What is in a picture.

    >>> Scene("circle", "red", "two", "top left").change("colour", "blue")
    Scene(shape='circle', colour='blue', count='two', place='top left')
    """

    shape: str
    colour: str
    count: str
    place: str

    def change(self, part: str, value: str) -> Scene:
        """The scene with one thing changed."""
        return replace(self, **{part: value})


def all_scenes() -> list[Scene]:
    """Every scene there is."""
    return [Scene(*parts) for parts in product(SHAPES, COLOURS, COUNTS, PLACES)]


def values(part: str) -> tuple[str, ...]:
    """What a part of a scene can be."""
    return {"shape": SHAPES, "colour": tuple(COLOURS), "count": COUNTS, "place": tuple(PLACES)}[part]


_PHRASES = {
    "shape": ("make it a {}", "change the shape to {}", "is a {} instead"),
    "colour": ("make it {}", "change the colour to {}", "is {} instead"),
    "count": ("show {} of them", "there should be {}", "has {} instead"),
    "place": ("move it to the {}", "place it in the {}", "is in the {} instead"),
}


def instruction(part: str, value: str, rng: np.random.Generator) -> str:
    """A text that asks for one change; the same change has several wordings."""
    phrases = _PHRASES[part]
    return phrases[int(rng.integers(len(phrases)))].format(value)


def draw(scene: Scene, rng: np.random.Generator, size: int = 48) -> Any:
    """A picture of the scene, no two alike."""
    pil, pen = (require(f"PIL.{name}", extra="triplet", purpose="drawing") for name in ("Image", "ImageDraw"))
    scale = 4  # drawn large and reduced, so that edges are smooth
    ground = rng.integers(20, 90, 3)
    canvas = pil.new("RGB", (size * scale, size * scale), tuple(int(c) for c in ground))
    brush = pen.Draw(canvas)
    tint = np.clip(np.array(COLOURS[scene.colour]) + rng.integers(-12, 13, 3), 0, 255)
    colour = tuple(int(c) for c in tint)
    half = size * scale / 2
    across, down = PLACES[scene.place]
    spots = rng.permutation(4)[: COUNTS.index(scene.count) + 1]
    for spot in spots.tolist():
        x = half * (across + (spot % 2) / 2 + 0.25) + rng.uniform(-0.02, 0.02) * size * scale
        y = half * (down + (spot // 2) / 2 + 0.25) + rng.uniform(-0.02, 0.02) * size * scale
        draw_shape(brush, scene.shape, x, y, rng.uniform(0.085, 0.115) * size * scale, rng, colour)
    small = np.asarray(canvas.resize((size, size), pil.Resampling.LANCZOS), np.float32)
    noisy = np.clip(small + rng.normal(0, 4, small.shape), 0, 255).astype(np.uint8)
    return pil.fromarray(noisy)


def draw_shape(
    brush: Any, kind: str, x: float, y: float, r: float, rng: np.random.Generator, colour: tuple[int, ...]
) -> None:
    """Draw one of `SHAPES` of radius r around a point, a little turned, with a pen of PIL."""
    if kind == "circle":
        brush.ellipse([x - r, y - r, x + r, y + r], fill=colour)
        return
    turn = rng.uniform(-0.2, 0.2)
    if kind == "cross":
        for angle in (turn, turn + np.pi / 2):
            bar = _polygon(x, y, r * 1.1, [angle - 0.3, angle + 0.3, angle + np.pi - 0.3, angle + np.pi + 0.3])
            brush.polygon(bar, fill=colour)
        return
    corners = 4 if kind == "square" else 3
    start = np.pi / 4 if kind == "square" else -np.pi / 2
    angles = [turn + start + 2 * np.pi * corner / corners for corner in range(corners)]
    brush.polygon(_polygon(x, y, r * 1.15, angles), fill=colour)


def _polygon(x: float, y: float, r: float, angles: list[float]) -> list[tuple[float, float]]:
    return [(x + r * float(np.cos(a)), y + r * float(np.sin(a))) for a in angles]
