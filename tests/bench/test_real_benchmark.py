"""benchmarks/real.py runs from one end to the other, on made-up files in the layout of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def vectors(random: np.random.Generator, count: int) -> np.ndarray:
    made = random.standard_normal((count, 12))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def write_data(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name, count in (("train", 40), ("val", 12), ("test", 20)):
        image = vectors(random, count)
        owner = np.repeat(np.arange(count), 3)
        text = image[owner] + 0.5 * vectors(random, len(owner))
        (folder / "coco_captions").mkdir(parents=True, exist_ok=True)
        np.savez(folder / "coco_captions" / f"{name}.npz", image=image, text=text, image_of_text=owner)
    (folder / "coco_clip500").mkdir()
    pairs = {"image": vectors(random, 15), "text": vectors(random, 15), "image_of_text": np.arange(15)}
    for name, array in pairs.items():
        for front in ("", "control_"):
            np.save(folder / "coco_clip500" / f"{front}{name}.npy", array)
    (folder / "sped").mkdir()
    for name in ("NetVLAD", "HOG"):
        np.save(folder / "sped" / f"{name}.npy", random.random((9, 9), dtype=np.float32))
    (folder / "sped" / "relevant.json").write_text(json.dumps({str(row): [8 - row] for row in range(9)}))


@pytest.mark.slow
def test_every_set_has_its_table(tmp_path: Path) -> None:
    real = pytest.importorskip("real")
    pytest.importorskip("sklearn")
    write_data(tmp_path / "data")
    plan = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--write", str(tmp_path / "page.md")]
    real.main([*plan, "-k", "10", "--fit", "calibrate", "--note", "Made up."])
    page = (tmp_path / "page.md").read_text()
    assert "Made up." in page
    assert page.count("\n### ") == 4
    assert page.count("| first stage |") == 4
    assert "| calibrate |" in page
    assert "`pillar` (needs fitting)" in page
    (tmp_path / "page.md").write_text(f"# Before\n\n{page}\n## After\n")
    brought = ["--fitted", f"mine={tmp_path / 'out' / 'weights' / 'calibrate'}"]
    real.main([*plan, "-k", "10", "--fit", "calibrate", *brought])  # what is finished does not run again
    again = (tmp_path / "page.md").read_text()
    assert (again.startswith("# Before\n"), again.endswith("\n## After\n")) == (True, True)
    assert "Made up." not in again
    assert again.count("| first stage |") == 4
    assert "| mine |" in again
