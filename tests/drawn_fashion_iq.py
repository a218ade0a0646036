"""Drawn scenes in the file layout of Fashion-IQ."""

from __future__ import annotations

from pathlib import Path

from rerankit.tasks.fashion_iq import CATEGORIES
from rerankit.tasks.files import write_json
from rerankit.tasks.miniatures.composed import draw_all, edits, generator_of
from rerankit.tasks.miniatures.scenes import all_scenes


def write_fashion_iq(folder: Path, *, split: str = "val", queries: int = 100, size: int = 48) -> None:
    """Three categories, two captions a query."""
    for place, category in enumerate(CATEGORIES):
        rng, scenes = generator_of(queries, 1, 1000 * (place + 1), split), all_scenes()
        names = [f"B{place}{split[:2].upper()}{n:06d}" for n in range(len(scenes))]
        draw_all(scenes, [folder / "images" / f"{name}.png" for name in names], rng, size)
        rows = [
            {
                "target": names[scenes.index(edit.target)],
                "candidate": names[edit.reference],
                "captions": list(edit.texts),
            }
            for edit in edits(scenes, queries, 2, rng)
        ]
        write_json(folder / f"captions/cap.{category}.{split}.json", rows)
        write_json(folder / f"image_splits/split.{category}.{split}.json", names)
