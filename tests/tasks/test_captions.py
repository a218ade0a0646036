from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rerankit.errors import InputError
from rerankit.metrics import evaluate
from rerankit.tasks import task
from rerankit.tasks.captions import read_karpathy, read_plain


def test_both_layouts_are_the_same_data(tmp_path: Path) -> None:
    task("flickr30k").write_miniature(tmp_path)
    json, plain = (task("flickr30k", images=7, layout=layout).load(tmp_path) for layout in ("karpathy", "plain"))
    assert json.matrices["scores"].shape == plain.matrices["scores"].shape == (7, 21)
    assert json.matrices["scores"].gallery_features == plain.matrices["scores"].gallery_features
    assert [part.relevance for part in json.parts] == [part.relevance for part in plain.parts]


def test_the_validation_split_has_its_own_files(tmp_path: Path) -> None:
    small = task("flickr30k", split="val").write_miniature(tmp_path)
    assert (tmp_path / "f30k_precomp" / "dev_caps.txt").is_file()
    assert small.load(tmp_path).matrices["scores"].shape == (7, 21)
    with pytest.raises(InputError, match="must have pictures of split test"):
        task("flickr30k").load(tmp_path)


def test_captions_need_not_be_five(tmp_path: Path) -> None:
    (tmp_path / "caps.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "ids.txt").write_text("7\n7\n9\n7\n")
    found = read_plain(tmp_path / "caps.txt", tmp_path / "ids.txt")
    assert found.owner.tolist() == [0, 0, 1, 0]
    assert found.images == ("7", "9")


def test_ids_may_be_one_per_picture(tmp_path: Path) -> None:
    (tmp_path / "caps.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "ids.txt").write_text("7\n9\n")
    assert read_plain(tmp_path / "caps.txt", tmp_path / "ids.txt").owner.tolist() == [0, 0, 1, 1]
    (tmp_path / "ids.txt").write_text("7\n9\n8\n")
    with pytest.raises(InputError, match=r"must have a line for each of the 4 captions .* \(got 3 lines\)"):
        read_plain(tmp_path / "caps.txt", tmp_path / "ids.txt")


def test_the_number_of_pictures_is_asserted(tmp_path: Path) -> None:
    task("flickr30k").write_miniature(tmp_path)
    with pytest.raises(InputError, match=r"must hold 1000 pictures \(got 7\)"):
        task("flickr30k").load(tmp_path)


def test_wrong_caption_counts_are_counted(tmp_path: Path) -> None:
    small = task("coco-5k").write_miniature(tmp_path)
    path = tmp_path / "dataset_coco.json"
    content = json.loads(path.read_text())
    for image in (2, 4):
        del content["images"][image]["sentences"][2:]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"must have 5 captions for every picture \(got 2 of 10 that do not, such as"):
        small.load(tmp_path)
    content["images"][3]["sentences"] = []
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"must have a caption for every picture \(got 1 of 10"):
        task("coco-5k", images=None, captions=None).load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "truncated or not JSON"),
        ("[]", r"must hold a dict \(got a list\)"),
        ("{}", "entry 0 must have 'images'"),
        ('{"images": [{"split": "val"}]}', r"must have pictures of split test \(got splits \['val'\]\)"),
        ('{"images": [{"split": "test"}]}', "entry 0 must have 'filename'"),
        (
            '{"images": [{"split": "test", "filename": "a", "sentences": [{"raw": "x", "sentid": 1}]},'
            ' {"split": "test", "filename": "b", "sentences": [{"raw": "y", "sentid": 1}]}]}',
            "must name a caption once",
        ),
    ],
)
def test_broken_karpathy_files(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_karpathy(path, "test")


def test_coco_takes_the_first_five_captions_and_1k_is_five_folds(tmp_path: Path) -> None:
    whole = task("coco-5k").write_miniature(tmp_path).load(tmp_path)
    assert whole.matrices["scores"].shape == (10, 50)
    folds = task("coco-1k").write_miniature(tmp_path / "1k").load(tmp_path / "1k")
    assert len(folds.parts) == 10
    scores = np.random.default_rng(0).random((10, 50), dtype=np.float32)
    from rerankit import Problem

    results = {part.name: folds.evaluate(part, folds.problem(part, Problem(scores))) for part in folds.parts}
    summary = folds.task.summary(results, folds.parts)
    own = [scores[2 * f : 2 * f + 2, 10 * f : 10 * f + 10] for f in range(5)]
    wanted = [evaluate(block, [range(5), range(5, 10)], ["success@1"])["success@1"] for block in own]
    assert summary["image-to-text/success@1"] == pytest.approx(np.mean(wanted))
    assert summary["rsum"] == pytest.approx(summary["image-to-text/rsum"] + summary["text-to-image/rsum"])
    with pytest.raises(InputError, match="multiple of 5"):
        task("coco-1k", images=7).load(_seven(tmp_path / "seven"))


def _seven(folder: Path) -> Path:
    task("coco-1k")._made(folder, images=8, captions=5, seed=0)  # type: ignore[attr-defined]
    return folder
