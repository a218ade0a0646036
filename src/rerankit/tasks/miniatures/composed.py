"""Drawn scenes in the file layout of CIRR: pictures, captions, splits.

The layout is the dataset's own; the content is coloured shapes. Queries change one thing about a reference scene. The
gallery holds every scene, so that for each query there are pictures
that match the reference in all but what the text asks, and pictures that do what it asks but match the
reference in nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import rule
from rerankit.events import track
from rerankit.tasks.files import write_json
from rerankit.tasks.miniatures.scenes import PARTS, Scene, all_scenes, draw, instruction, values


@dataclass(frozen=True)
class Edit:
    """A reference, the texts that change it, and the scene they ask for."""

    reference: int
    texts: tuple[str, ...]
    target: Scene


def edits(scenes: Sequence[Scene], count: int, changes: int, rng: np.random.Generator) -> Iterator[Edit]:
    """Queries over a gallery of scenes, each with some changes to different parts."""
    for _ in range(count):
        reference = int(rng.integers(len(scenes)))
        target, texts = scenes[reference], []
        for part in rng.permutation(PARTS)[:changes].tolist():
            others = [value for value in values(part) if value != getattr(target, part)]
            value = others[int(rng.integers(len(others)))]
            target = target.change(part, value)
            texts.append(instruction(part, value, rng))
        yield Edit(reference, tuple(texts), target)


def write_cirr(
    folder: str | os.PathLike[str],
    *,
    split: str = "val",
    queries: int = 300,
    renderings: int = 1,
    size: int = 48,
    seed: int = 0,
) -> Path:
    """Write a CIRR-shaped miniature: captions/, image_splits/ and img_raw/; the folder is returned.

    On the split "test1" the targets are left out, as in the dataset.
    """
    rng, folder = generator_of(queries, renderings, seed, split), Path(folder)
    scenes = all_scenes() * renderings
    folder_of = {"train": "train/0", "val": "dev", "test1": "test1"}.get(split, split)
    names = [f"{split.replace('val', 'dev')}-{n}-{n % 2}-img{n % 3}" for n in range(len(scenes))]
    where = {name: f"./{folder_of}/{name}.png" for name in names}
    draw_all(scenes, [folder / "img_raw" / where[name] for name in names], rng, size)
    rows, codes = [], _codes(scenes)
    for row, edit in enumerate(edits(scenes, queries, 1, rng)):
        entry = _cirr_entry(row, edit, codes, names, rng)
        if split == "test1":
            del entry["target_hard"], entry["target_soft"], entry["img_set"]["target_rank"]
        rows.append(entry)
    write_json(folder / f"captions/cap.rc2.{split}.json", rows)
    write_json(folder / f"image_splits/split.rc2.{split}.json", where)
    return folder


def _cirr_entry(
    row: int, edit: Edit, codes: NDArray[np.int64], names: Sequence[str], rng: np.random.Generator
) -> dict[str, Any]:
    from_target = (codes != _codes([edit.target])).sum(axis=1)
    from_reference = (codes != codes[edit.reference]).sum(axis=1)
    right = np.flatnonzero(from_target == 0).tolist()
    target = int(rng.choice(right))
    # Look-alikes: the reference with other changes, and other scenes that the text's change leads to.
    near = np.flatnonzero((from_reference == 1) & (from_target > 0))
    done = np.flatnonzero((from_target > 0) & (from_target <= 2) & (from_reference > 1))
    others = [*rng.choice(near, 2, replace=False).tolist(), *rng.choice(done, 2, replace=False).tolist()]
    members = [names[n] for n in rng.permutation([edit.reference, target, *others]).tolist()]
    return {
        "pairid": 1000 + row,
        "reference": names[edit.reference],
        "target_hard": names[target],
        "target_soft": {names[n]: 1.0 for n in right},
        "caption": edit.texts[0],
        "img_set": {
            "id": row,
            "members": members,
            "reference_rank": members.index(names[edit.reference]),
            "target_rank": members.index(names[target]),
        },
    }


def _codes(scenes: Sequence[Scene]) -> NDArray[np.int64]:
    """Which value each part of each scene has, (scenes, parts)."""
    return np.array([[values(part).index(getattr(scene, part)) for part in PARTS] for scene in scenes])


def generator_of(queries: int, renderings: int, seed: int, split: str) -> np.random.Generator:
    """What everything of a split is drawn with."""
    if min(queries, renderings) < 1:
        raise rule("queries", "and 'renderings' must be at least 1", (queries, renderings))
    # Splits differ even under one seed: no picture of one is in another.
    return np.random.default_rng([seed, *split.encode()])


def draw_all(scenes: Sequence[Scene], paths: Sequence[Path], rng: np.random.Generator, size: int) -> None:
    """Draw scenes into files."""
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    pairs = list(zip(scenes, paths, strict=True))
    for scene, path in track(pairs, "drawing scenes"):
        draw(scene, rng, size).save(path)
