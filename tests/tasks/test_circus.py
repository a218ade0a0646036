"""CIRCUS: files of four datasets, and what is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rerankit import stage
from rerankit.bench import bench
from rerankit.errors import InputError
from rerankit.tasks import task
from rerankit.tasks.circus import DATASETS, SUBSETS


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("subset", SUBSETS)
def test_every_dataset_and_subset(dataset: str, subset: str, tmp_path: Path) -> None:
    small = task("circus", dataset=dataset, subset=subset).write_miniature(tmp_path)
    benchmark = small.load(tmp_path)
    matrix = benchmark.matrices["scores"]
    assert matrix.shape == (8, 40)
    assert set(matrix.query_features["reference"]) <= set(matrix.gallery_ids)
    assert [part.name for part in benchmark.parts] == ["circus", "all-targets"][: 1 + (dataset == "circo")]
    assert benchmark.parts[0].relevance.counts.tolist() == [1] * 8
    with pytest.raises(InputError, match=rf"must hold \d+ queries of '{subset}', as published \(got 8\)"):
        task("circus", dataset=dataset, subset=subset).load(tmp_path)


def test_lines_as_they_are_published(tmp_path: Path) -> None:
    """Lines of the release, and of the pools that it names."""
    task("circus").write_miniature(tmp_path)
    solved, unsolved, pool = (tmp_path / each.path for each in task("circus").files)
    assert solved.name == "circo_test_validated_solved.jsonl"
    query = {
        "query_id": "circo_q_test_4",
        "query_text": "is shot from the front\u2028and the image is in greyscale",
        "query_img_path": "<path_to_user_home>/CIRCO/COCO2017_unlabeled/unlabeled2017/000000007705.jpg",
        "pos_cand_list": ["circo_img_344036"],
        "gt_cand_list": ["circo_img_448943", "circo_img_344036"],
    }
    solved.write_text(json.dumps(query, ensure_ascii=False) + "\n", encoding="utf-8")
    unsolved.write_text("")
    names = ("448943", "7705", "344036")
    entries = [{"cand_id": f"circo_img_{n}", "img_path": f"/data/unlabeled2017/{int(n):012d}.jpg"} for n in names]
    pool.write_text("\n".join(map(json.dumps, entries)))
    benchmark = task("circus", published=False).load(tmp_path)
    matrix = benchmark.matrices["scores"]
    assert matrix.query_ids == ["circo_q_test_4"]
    assert matrix.query_features["reference"] == ["circo_img_7705"]
    targets, everything = benchmark.parts
    assert targets.relevance.of(0).items.tolist() == [2]
    assert everything.relevance.of(0).items.tolist() == [0, 2]
    # One query alone keeps its order.
    alone = stage("mutual-rank", lone="pass")
    (result,) = bench(benchmark, np.array([[0.9, 0.1, 0.5]], np.float32), alone, k=3)
    assert result.summary["first"]["circus/mrr"] == 0.5
    assert result.summary["first"]["all-targets/map@5"] == 1.0


def test_m_beir_files(tmp_path: Path) -> None:
    task("circus", dataset="cirr", subset="unresolved").write_miniature(tmp_path)
    path = tmp_path / "shortcut_free_subsets/cirr/unresolved/mbeir_cirr_task7_test_multimodal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"qid", "query_txt", "neg_cand_list"} <= lines[0].keys()
    for change, told in (
        ({"pos_cand_list": ["8:x"]}, "must have targets that are in the gallery cirr_task7.jsonl"),
        ({"pos_cand_list": []}, "must have a target for each query"),
        ({"qid": lines[1]["qid"]}, "must name a query once"),
        ({"query_txt": 3}, "'query_txt' of entry 0 must be a text"),
    ):
        path.write_text("\n".join(json.dumps(line) for line in [{**lines[0], **change}, *lines[1:]]))
        with pytest.raises(InputError, match=told):
            task("circus", dataset="cirr", subset="unresolved", published=False).load(tmp_path)
    path.write_text('{"qid": \n')
    with pytest.raises(InputError, match=r"jsonl: line 1: truncated or not JSON"):
        task("circus", dataset="cirr", subset="unresolved", published=False).load(tmp_path)
    for wrong in ({"dataset": "coco"}, {"subset": "all"}):
        with pytest.raises(InputError, match=f"unknown {next(iter(wrong))} '"):
            task("circus", **wrong)
