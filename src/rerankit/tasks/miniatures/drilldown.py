"""Made-up scenes in the file layout of DrillDown's Visual Genome: region features, descriptions, splits.

The layout is the dataset's own; the content is planted. An image has objects, each with a colour and a
material, in a kind of place that prefers some objects; a region is the sum of the codes of what it shows,
under noise. A description names one object with some of its attributes, so that it fits many images, and
only several of them together fit one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.errors import rule
from rerankit.events import track

OBJECTS = tuple(
    "dog cat car bus tree bench chair table lamp bottle cup plate bowl kite boat horse sheep bird clock "  # noqa: SIM905
    "sign bag hat ball bicycle".split()
)
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "brown", "grey")
MATERIALS = ("wood", "metal", "glass", "plastic", "stone", "cloth")
PLACES = ("kitchen", "street", "park", "beach", "office", "garden", "station", "forest", "market", "harbour",
          "bedroom", "field")  # fmt: skip


@dataclass(frozen=True)
class World:
    """How hard the made-up scenes are; what each word looks like is the same in every one."""

    objects: int = 10
    dim: int = 48
    noise: float = 1.5
    place: float = 0.5
    material: float = 0.8


def write_drilldown(
    data: str | os.PathLike[str],
    *,
    train: int = 1500,
    val: int = 300,
    test: int = 2400,
    seed: int = 0,
    world: World | None = None,
) -> None:
    """Write a miniature: ``caches/vg_*.txt``, ``vg/rg_jsons/*.json``, ``vg/region_36_final/*.npz``."""
    if min(train, val, test) < 2:
        raise rule("train", "and 'val' and 'test' must be at least 2 images", (train, val, test))
    world, data = world or World(), Path(data)
    codes = _codes(world.dim)
    rng = np.random.default_rng(seed)
    for folder in ("caches", "vg/rg_jsons", "vg/region_36_final"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    first = 1
    for split, count in (("train", train), ("val", val), ("test", test)):
        numbers = range(first, first + count)
        for number in track(numbers, f"make {split} scenes", count):
            _write_image(data, number, world, codes, rng)
        (data / "caches" / f"vg_{split}.txt").write_text("".join(f"{number}\n" for number in numbers))
        first += count


def _codes(dim: int) -> dict[str, Any]:
    """What each word looks like, and which objects each place prefers; one draw for every miniature."""
    rng = np.random.default_rng(7)
    kinds = {"object": OBJECTS, "colour": COLOURS, "material": MATERIALS, "place": PLACES}
    codes: dict[str, Any] = {kind: rng.normal(size=(len(w), dim)) / np.sqrt(dim) for kind, w in kinds.items()}
    codes["prefers"] = 0.5 * rng.dirichlet(np.full(len(OBJECTS), 0.4), size=len(PLACES)) + 0.5 / len(OBJECTS)
    return codes


def _write_image(data: Path, number: int, world: World, codes: dict[str, Any], rng: np.random.Generator) -> None:
    place = int(rng.integers(len(PLACES)))
    objects = rng.choice(len(OBJECTS), size=world.objects, p=codes["prefers"][place])
    colours = rng.integers(len(COLOURS), size=world.objects)
    materials = rng.integers(len(MATERIALS), size=world.objects)
    seen = codes["object"][objects] + codes["colour"][colours] + world.material * codes["material"][materials]
    seen = seen + world.place * codes["place"][place]
    noise = world.noise * rng.normal(size=seen.shape) / np.sqrt(world.dim)
    phrases: list[str] = []
    while len(phrases) < world.objects:  # descriptions of one image are all different, as in the dataset
        shown = len(phrases)
        words = OBJECTS[objects[shown]], COLOURS[colours[shown]], MATERIALS[materials[shown]], PLACES[place]
        phrase = _phrase(*words, rng)
        phrases.append(phrase if phrase not in phrases else f"{phrase}, number {shown}")
    order = rng.permutation(world.objects)
    _write_regions(data, number, (seen + noise)[order].astype(np.float32))
    _write_phrases(data, number, [phrases[i] for i in rng.permutation(world.objects)])


def _phrase(thing: str, colour: str, material: str, place: str, rng: np.random.Generator) -> str:
    draw = rng.random()
    if draw < 0.4:
        return f"a {colour} {thing}"
    if draw < 0.6:
        return f"the {thing} is made of {material}"
    if draw < 0.8:
        return f"{colour} {thing} of {material}"
    return f"a {thing} in the {place}"


def _write_regions(data: Path, number: int, regions: FloatArray) -> None:
    boxes = np.zeros((len(regions), 4), np.float32)
    np.savez(data / "vg" / "region_36_final" / f"{number:012d}.npz", region_feats=regions, region_boxes=boxes)


def _write_phrases(data: Path, number: int, phrases: list[str]) -> None:
    regions = [
        {"region_id": 100 * number + place, "phrase": phrase, "x": 0, "y": 0, "width": 1, "height": 1,
         "objects": [], "relationships": []}
        for place, phrase in enumerate(phrases)
    ]  # fmt: skip
    text = json.dumps({"image_id": number, "regions": regions})
    (data / "vg" / "rg_jsons" / f"{number}.json").write_text(text, encoding="utf-8")
