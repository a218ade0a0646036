"""Drawn scenes in the layouts of CIRR and Fashion-IQ."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("PIL")

from drawn_fashion_iq import write_fashion_iq
from rerankit.tasks.miniatures.composed import write_cirr
from rerankit.tasks.miniatures.scenes import PARTS, Scene, all_scenes, draw, instruction, values


def test_scenes_are_all_and_drawn_differently_each_time():
    assert len(set(all_scenes())) == len(all_scenes()) == 384
    rng = np.random.default_rng(0)
    one, two = (np.asarray(draw(Scene("cross", "red", "three", "top left"), rng)) for _ in range(2))
    assert one.shape == (48, 48, 3)
    assert (one != two).mean() > 0.5
    assert {instruction(part, values(part)[0], rng) for part in PARTS for _ in range(9)} >= {"make it red"}


def test_cirr_layout(tmp_path):
    assert write_cirr(str(tmp_path), split="val", queries=5, seed=1) == tmp_path  # a path as text
    queries = json.loads((tmp_path / "captions/cap.rc2.val.json").read_text())
    split = json.loads((tmp_path / "image_splits/split.rc2.val.json").read_text())
    assert len(split) == 384
    assert all((tmp_path / "img_raw" / path).is_file() for path in split.values())
    for query in queries:
        members = query["img_set"]["members"]
        assert len(set(members)) == 6
        assert {*members, query["target_hard"]} <= split.keys()
        assert members[query["img_set"]["reference_rank"]] == query["reference"] != query["target_hard"]
        assert members[query["img_set"]["target_rank"]] == query["target_hard"]
    write_cirr(tmp_path / "test", split="test1", queries=2)
    assert "target_hard" not in json.loads((tmp_path / "test/captions/cap.rc2.test1.json").read_text())[0]


def test_fashion_iq_layout(tmp_path):
    write_fashion_iq(tmp_path, queries=3)
    for category in ("dress", "shirt", "toptee"):
        queries = json.loads((tmp_path / f"captions/cap.{category}.val.json").read_text())
        names = json.loads((tmp_path / f"image_splits/split.{category}.val.json").read_text())
        assert [len(query["captions"]) for query in queries] == [2, 2, 2]
        assert all({query["target"], query["candidate"]} <= set(names) for query in queries)
        assert all((tmp_path / "images" / f"{name}.png").is_file() for name in names)


def test_a_seed_makes_the_same_files_and_splits_differ(tmp_path):
    for name, split in (("a", "val"), ("b", "val"), ("c", "train")):
        write_cirr(tmp_path / name, split=split, queries=2, seed=3)
    read = {n: sorted(p.read_bytes() for p in (tmp_path / n / "img_raw").rglob("*.png")) for n in "abc"}
    assert read["a"] == read["b"]
    assert not set(read["a"]) & set(read["c"])
