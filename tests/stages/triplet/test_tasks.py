"""From files to figures: the miniatures in both datasets' layouts, and the real annotation files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import rerankit
from drawn_fashion_iq import write_fashion_iq
from rerankit.bench import bench
from rerankit.cli import build
from rerankit.features import Tokens
from rerankit.stages.triplet.checkpoint import dual_from_filter
from rerankit.stages.triplet.config import TripletConfig
from rerankit.stages.triplet.fitting import new_bundle
from rerankit.stages.triplet.stage import Triplet
from rerankit.tasks import task
from rerankit.tasks.miniatures.composed import write_cirr
from rerankit.tasks.submission import write_server_files

SIZES = TripletConfig(
    hidden=16,
    layers=2,
    heads=2,
    intermediate=16,
    positions=80,
    width=16,
    projection=8,
    merge_from=1,
    image_size=16,
    patch_size=8,
    vision_layers=1,
    vision_heads=2,
    vision_intermediate=16,
)


def untrained(matrix, images):
    """A stage of random weights with the vocabulary of a task's captions."""
    problem = rerankit.Problem(
        np.zeros((len(matrix.query_ids), 1), np.float32),
        query_features={"text": matrix.query_features["text"], "reference_images": matrix.query_features["reference"]},
    )
    torch.manual_seed(0)
    bundle = new_bundle(SIZES, [problem], 0)
    bundle = replace(bundle, dual=dual_from_filter(bundle.filter), filter_trained=True)
    return Triplet(device="cpu", images=images, image_batch_size=64).with_bundle(bundle)


def test_cirr_end_to_end(tmp_path):
    write_cirr(tmp_path, queries=12)
    cirr = task("cirr", gallery=None)
    benchmark = cirr.load(tmp_path)
    matrix = benchmark.matrices["scores"]
    stage = untrained(matrix, str(tmp_path / "img_raw/dev/{id}.png"))
    ids = {"query_ids": matrix.query_ids, "gallery_ids": matrix.gallery_ids}
    first = stage.first_stage(matrix.query_features, matrix.gallery_features, **ids)
    assert first.shape == (12, 384)
    rerankit.write(tmp_path / "scores.npz", rerankit.Problem(first.scores.rows()))
    stage.save(tmp_path / "stage")
    where = [
        "--scores",
        tmp_path / "scores.npz",
        "-p",
        tmp_path / "stage",
        "--data",
        tmp_path,
        "--out",
        tmp_path / "out",
    ]
    options = ["bench", "cirr", "--task-set", "gallery=null", "-k", "5", "--json", *map(str, where)]
    done = CliRunner().invoke(build(), options)
    assert done.exit_code == 0, done.output
    result = json.loads(next((tmp_path / "out").glob("*.json")).read_text())
    assert result["parts"][0]["queries"] == 12
    assert CliRunner().invoke(build(), options).exit_code == 0
    assert len(list((tmp_path / "out").glob("*.json"))) == 1  # finished: read, not repeated
    picture = next((tmp_path / "img_raw/dev").glob("*.png"))
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(picture)
    assert CliRunner().invoke(build(), options).exit_code == 0
    assert len(list((tmp_path / "out").glob("*.json"))) == 2  # a black picture is another run


def test_scoring_never_sees_labels(tmp_path):
    """Other targets, the same ranking: a scorer has no way to look at them."""
    write_cirr(tmp_path, queries=4)
    file = tmp_path / "captions/cap.rc2.val.json"
    rankings = []
    for _ in range(2):
        benchmark = task("cirr", gallery=None).load(tmp_path)
        matrix = benchmark.matrices["scores"]
        stage = untrained(matrix, str(tmp_path / "img_raw/dev/{id}.png"))
        first = stage.first_stage(matrix.query_features, matrix.gallery_features, gallery_ids=matrix.gallery_ids)
        rankings.append(stage.rerank(first, first.ranking(4)))
        queries = json.loads(file.read_text())
        for query in queries:
            others = [name for name in query["img_set"]["members"] if name != query["reference"]]
            query["target_hard"] = others[0]
        file.write_text(json.dumps(queries))
    assert rankings[0] == rankings[1]


def test_cirr_server_files(tmp_path):
    write_cirr(tmp_path, split="test1", queries=3)
    cirr = task("cirr", split="test1", gallery=None)
    benchmark = cirr.load(tmp_path)
    matrix = benchmark.matrices["scores"]
    stage = untrained(matrix, str(tmp_path / "img_raw/test1/{id}.png"))
    ids = {"query_ids": matrix.query_ids, "gallery_ids": matrix.gallery_ids}
    first = stage.first_stage(matrix.query_features, matrix.gallery_features, **ids)
    ranking = (stage.top(10)).rerank(first, first.ranking())
    recall, subset = (json.loads(path.read_text()) for path in write_server_files(benchmark, ranking, tmp_path / "out"))
    assert recall["version"] == "rc2"
    assert [len(recall[str(query)]) for query in matrix.query_ids] == [50] * 3
    assert [len(subset[str(query)]) for query in matrix.query_ids] == [3] * 3


def test_fashion_iq_end_to_end(tmp_path):
    write_fashion_iq(tmp_path, queries=4)
    benchmark = task("fashion-iq").load(tmp_path)
    stage = untrained(benchmark.matrices["dress"], str(tmp_path / "images/{id}.png"))
    scores = {
        name: stage.first_stage(matrix.query_features, matrix.gallery_features, gallery_ids=matrix.gallery_ids)
        for name, matrix in benchmark.matrices.items()
    }
    (result,) = bench(benchmark, scores, stage, k=5)
    assert [part.queries for part in result.parts] == [4, 4, 4]
    assert "mean" in result.summary["last"]
    stage.save(tmp_path / "stage")
    for name, problem in scores.items():
        np.save(tmp_path / f"{name}.npy", problem.scores.rows())
    files = ",".join(f"{name}={tmp_path / name}.npy" for name in scores)
    where = ["--scores", files, "-p", tmp_path / "stage", "--data", tmp_path]
    done = CliRunner().invoke(build(), ["bench", "fashion-iq", "-k", "5", "--json", *map(str, where)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "folder", "queries", "gallery"),
    [
        ("cirr", "cirr", {"scores": 4181}, {"scores": 2297}),
        (
            "fashion-iq",
            "fashion_iq",
            {"dress": 2017, "shirt": 2038, "toptee": 1961},
            {"dress": 3817, "shirt": 6346, "toptee": 5373},
        ),
    ],
)
def test_real_annotations_with_random_features(shared, name, folder, queries, gallery):
    """Shapes and counts only: the networks are random and there are no pictures."""
    benchmark = task(name).load(shared / "realdata" / folder)
    rng = np.random.default_rng(0)
    stage = untrained(next(iter(benchmark.matrices.values())), None).clone(max_tokens=80)
    problems = {}
    for key, matrix in benchmark.matrices.items():
        assert matrix.shape == (queries[key], gallery[key])
        tokens = rng.random((gallery[key], 3, 16), dtype=np.float32).astype(np.float16)
        place = {item: column for column, item in enumerate(matrix.gallery_ids)}
        chosen = [place[item] for item in matrix.query_features["reference"]]
        offered = Tokens(tokens)
        asked = {"text": matrix.query_features["text"], "reference_tokens": offered.take(np.array(chosen))}
        ids = {"query_ids": matrix.query_ids, "gallery_ids": matrix.gallery_ids}
        problems[key] = stage.first_stage(asked, {"candidate_tokens": offered}, **ids)
    (result,) = bench(benchmark, problems, stage, k=1)
    assert {part.name: part.queries for part in result.parts} == dict(
        zip(["cirr"] if name == "cirr" else queries, queries.values(), strict=True)
    )
    notes = stage.rerank(problems[key], problems[key].ranking(1)).notes["triplet"]
    assert notes["scored_pairs"] == notes["candidate_pairs"] == queries[key]
