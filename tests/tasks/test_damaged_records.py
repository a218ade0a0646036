"""Records of datasets' files that are of another kind than the dataset's: the message names file, entry and rule."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rerankit.errors import FormatError
from rerankit.tasks import task

Change = Callable[[Any], object]
CASES: list[tuple[str, str, Change, str]] = [
    (
        "circo",
        "val.json",
        lambda c: c[2].update(gt_img_ids=[[1]]),
        r"value 0 of 'gt_img_ids' of entry 2 must be a whole",
    ),
    (
        "circo",
        "val.json",
        lambda c: c[2].update(gt_img_ids="12"),
        r"'gt_img_ids' of entry 2 must be a list \(got '12'\)",
    ),
    (
        "circo",
        "val.json",
        lambda c: c[1].update(id=[]),
        r"'id' of entry 1 must be a text or a whole number \(got \[\]\)",
    ),
    ("circo", "image_info_unlabeled2017.json", lambda c: c.update(images=3), r"'images' of entry 0 must be a list"),
    (
        "cirr",
        "cap.rc2.val.json",
        lambda c: c[3].update(reference=[]),
        r"'reference' of entry 3 must be a text \(got \[\]\)",
    ),
    ("cirr", "cap.rc2.val.json", lambda c: c[3]["img_set"].update(members=[{}]), r"value 0 of 'members' of entry 3"),
    ("cirr", "cap.rc2.val.json", lambda c: c[0].update(pairid={}), r"'pairid' of entry 0 must be a text or a whole"),
    ("fashion-iq", "cap.dress.val.json", lambda c: c[1].update(captions=1.5), r"'captions' of entry 1 must be a list"),
    ("fashion-iq", "split.dress.val.json", lambda c: c.append([]), r"entry 12 must be a text \(got \[\]\)"),
    ("visual-genome", "26.json", lambda c: c.clear(), r"entry 0 must have 'regions' \(got \{\}\)"),
    ("visual-genome", "26.json", lambda c: c["regions"][2].update(region_id="x"), "'region_id' of entry 2"),
    (
        "flickr30k",
        "dataset_flickr30k.json",
        lambda c: c["images"][1].update(split=[]),
        "'split' of entry 1 must be a text",
    ),
    (
        "flickr30k",
        "dataset_flickr30k.json",
        lambda c: c["images"][1].update(sentences=[2]),
        "of 'sentences' of entry 1",
    ),
    ("roxford5k", "*.pkl", lambda c: c["gnd"][1].update(easy=["x"]), "'easy' of entry 1 must be numbers of pictures"),
    ("roxford5k", "*.pkl", lambda c: c["gnd"][1].update(easy=[[1], [2, 3]]), "'easy' must be a rectangular array"),
]


@pytest.mark.parametrize(("name", "pattern", "change", "message"), CASES)
def test_a_record_of_another_kind(name: str, pattern: str, change: Change, message: str, tmp_path: Path) -> None:
    small = task(name).write_miniature(tmp_path)
    path = sorted(tmp_path.rglob(pattern))[0]
    small.load(tmp_path)
    reads, writes = (
        (pickle.loads, pickle.dumps) if path.suffix == ".pkl" else (json.loads, lambda c: json.dumps(c).encode())
    )
    content = reads(path.read_bytes())
    change(content)
    path.write_bytes(writes(content))
    with pytest.raises(FormatError, match=message):
        small.load(tmp_path)


@pytest.mark.parametrize(
    ("stem", "change", "message"),
    [
        ("eccv_caption_to_image", lambda c: c.update(x=[1]), r"must have numbers for queries \(got 1 of"),
        ("cxc_image_to_caption", lambda c: c.update({next(iter(c)): ["x"]}), "must be a whole number .got 'x'"),
        ("original_caption_to_image", lambda c: c.update({next(iter(c)): []}), "must say the picture of every caption"),
    ],
)
def test_judgements_of_another_kind(stem: str, change: Change, message: str, tmp_path: Path) -> None:
    pytest.importorskip("eccv_caption")
    small = task("eccv-caption").write_miniature(tmp_path)
    path = tmp_path / f"{stem}.json"
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match=message):
        small.load(tmp_path)
