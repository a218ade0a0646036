"""Published figures and datasets' own files, from the folder of real data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rerankit import Problem, Ranking, Relevance, evaluate, evaluate_both
from rerankit.tasks import task
from rerankit.tasks.circo import read_queries


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cirr_stageII_labels_val", (52.91, 82.85, 90.07, 98.01)),
        ("fiq_stageII_labels_val_dress", (17.06, 37.18, 47.89, 71.44)),
        ("fiq_stageII_labels_val_shirt", (20.56, 40.78, 50.15, 71.00)),
        ("fiq_stageII_labels_val_toptee", (23.15, 44.98, 55.38, 77.41)),
    ],
)
def test_published_composed_retrieval_labels(name: str, wanted: tuple[float, ...], shared: Path) -> None:
    packed = np.load(shared / "realdata" / "candidate_reranking" / f"{name}.npz")["packed"]
    hits = np.unpackbits(packed, axis=1)[:, :200]
    places = np.tile(np.arange(200), (len(hits), 1))
    ranking = Ranking(places, -places.astype(np.float32), gallery_size=200)
    names = [f"success@{k}" for k in (1, 5, 10, 50)]
    result = evaluate(ranking, hits, names, empty="zero")
    assert [round(100 * result[each], 2) for each in names] == list(wanted)


def test_base_scores_of_coco_captions(shared: Path) -> None:
    data = np.load(shared / "realdata" / "coco_captions" / "test.npz")
    problem = Problem.from_embeddings(data["image"], data["text"])
    relevance = Relevance.from_labels(np.arange(1500), data["image_of_text"])
    # Some captions occur twice, and the published figures count a tie as a hit.
    both = evaluate_both(problem.scores.rows(), relevance, ties="optimistic")
    assert round(100 * both.forward["success@1"], 2) == 49.27
    assert round(100 * both.reverse["success@1"], 2) == 37.73
    honest = evaluate_both(problem.scores.rows(), relevance)
    assert 1500 * honest.forward["success@1"] == pytest.approx(737.5)  # three queries toss a coin


def test_base_scores_of_coco_clip500(shared: Path) -> None:
    folder = shared / "realdata" / "coco_clip500"
    image, text, owner = (np.load(folder / f"{name}.npy") for name in ("image", "text", "image_of_text"))
    both = evaluate_both(
        Problem.from_embeddings(image, text).scores.rows(), Relevance.from_labels(np.arange(500), owner)
    )
    figures = {
        name: [round(100 * way[f"success@{k}"], 1) for k in (1, 5, 10)]
        for name, way in (("image to text", both.forward), ("text to image", both.reverse))
    }
    assert [50.6, 76.6, 86.2] in figures.values()


def test_base_scores_of_sped(shared: Path) -> None:
    folder = shared / "realdata" / "sped"
    relevant = json.loads((folder / "relevant.json").read_text())
    scores = np.load(folder / "NetVLAD.npy")
    result = evaluate(scores, [relevant[str(row)] for row in range(len(scores))], ["success@1"])
    assert round(100 * result["success@1"], 2) == 67.87


def test_cirr_files(shared: Path) -> None:
    benchmark = task("cirr").load(shared / "realdata" / "cirr")
    assert benchmark.matrices["scores"].shape == (4181, 2297)
    (part,) = benchmark.parts
    assert part.relevance.counts.tolist() == [1] * 4181
    assert {len(members) for members in part.subset or ()} == {6}


def test_fashion_iq_files(shared: Path) -> None:
    folder = shared / "realdata" / "fashion_iq"
    original, small = (task("fashion-iq", gallery=gallery).load(folder) for gallery in ("original", "val"))
    shapes = {name: matrix.shape for name, matrix in original.matrices.items()}
    assert shapes == {"dress": (2017, 3817), "shirt": (2038, 6346), "toptee": (1961, 5373)}
    assert {name: matrix.shape[1] for name, matrix in small.matrices.items()} == {
        "dress": 2628,
        "shirt": 3089,
        "toptee": 2902,
    }


def test_circo_annotations(shared: Path) -> None:
    queries = read_queries(shared / "realdata" / "circo" / "val.json")
    assert len(queries) == 220
    assert sum(len(query["gt_img_ids"]) for query in queries) > 220
