"""Searches whose misses are known, compressed vectors and what refines them, addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import rerankit
from rerankit import Problem, errors, rerank
from rerankit.cli import build
from rerankit.plugins import manager

faiss = pytest.importorskip("faiss", reason="faiss is not installed: pip install faiss-cpu")

import rerankit_faiss  # noqa: E402
from rerankit_faiss import (  # noqa: E402
    approximate,
    indexed,
    missed,
)
from rerankit_faiss.refine import Refine  # noqa: E402

RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(40, 32))
GALLERY = (CENTRES[RANDOM.integers(0, 40, 2000)] + 1.5 * RANDOM.normal(size=(2000, 32))).astype(np.float32)
QUERIES = (GALLERY[::20] + 0.5 * RANDOM.normal(size=(100, 32))).astype(np.float32)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_comparing_all_misses_nothing(metric: str) -> None:
    found = approximate(QUERIES, GALLERY, k=20, metric=metric)
    exact = Problem.from_embeddings(QUERIES, GALLERY, metric=metric).ranking(20)
    assert found.missed == 0
    assert found.looked_up == 100
    assert np.mean(found.problem.ranking(20).indices == exact.indices) > 0.999  # ties by rounding aside


def test_what_is_missed_is_told() -> None:
    shares = [
        approximate(QUERIES, GALLERY, k=20, index="IVF40,Flat", settings=f"nprobe={probes}").missed
        for probes in (1, 4, 40)
    ]
    assert shares[0] > shares[1] > shares[2] == 0
    found = approximate(QUERIES, GALLERY, k=20, index="IVF40,Flat", settings="nprobe=1", sample=10)
    assert found.looked_up == 10
    rows = np.unique(np.linspace(0, 99, 10).astype(int))
    exact = Problem.from_embeddings(QUERIES[rows], GALLERY).ranking(20).indices
    listed = found.problem.ranking(20).indices[rows]
    there = sum(len(set(a) & set(b[b >= 0])) for a, b in zip(exact.tolist(), listed, strict=True))
    assert found.missed == pytest.approx(1 - there / exact.size)
    assert "% of the first candidates are missed (10 queries looked up exactly)" in str(found)


def test_the_same_vectors_give_the_same_lists() -> None:
    one, other = (approximate(QUERIES, GALLERY, k=10, index="HNSW8", neighbours=5) for _ in range(2))
    assert one.problem.ranking(10) == other.problem.ranking(10)
    assert one.missed < 0.2
    assert one.problem.gallery_scores.shape == (2000, 2000)
    assert rerank(one.problem, "diffusion", k=10).shape == (100, 10)


def test_compressed_vectors_are_refined() -> None:
    found = approximate(QUERIES, GALLERY, k=50, index="PQ8x4", metric="cosine")
    assert 4 <= found.bytes_per_item < 8
    assert "bytes for each item, a vector 128" in str(found)
    assert approximate(QUERIES, GALLERY, k=5).bytes_per_item == pytest.approx(128, rel=0.01)
    exact = Problem.from_embeddings(QUERIES, GALLERY).ranking(1).indices[:, 0]
    before = found.problem.ranking(50)
    after = rerank(found.problem, Refine(), k=50)
    assert np.mean(before.indices[:, 0] == exact) < np.mean(after.indices[:, 0] == exact)
    at = np.array([exact[row] in before.indices[row] for row in range(100)])
    assert (after.indices[at, 0] == exact[at]).all()  # whatever was found at all comes first


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"metric": "manhattan"}, "unknown metric 'manhattan'"),
        ({"index": "nonsense"}, "'index' must be a kind of index that fits the vectors"),
        ({"settings": "nprobe=3"}, "'settings' must fit the index"),
        ({"queries": np.ones((2, 3))}, "'queries' must have the gallery's width, 32"),
        ({"queries": np.full((2, 32), np.nan)}, "'queries' must be vectors"),
        ({"k": 0}, "'k' must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(bad: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.InputError, match=told):
        approximate(**{"queries": QUERIES, "gallery": GALLERY, **bad})


@pytest.fixture
def registered():
    """The plugin, before it is installed too."""
    known = "faiss" in manager().sources
    if not known:
        manager().register(rerankit_faiss, "faiss under test")
    yield
    if not known:
        manager().unregister("faiss under test")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("queries.npy", QUERIES)
    np.save("gallery.npy", GALLERY)
    index = faiss.IndexFlatIP(32)
    index.add(GALLERY)
    faiss.write_index(index, "made.faiss")


@pytest.mark.usefixtures("registered", "files")
def test_addresses() -> None:
    found = rerankit.read("faiss:gallery.npy?queries=queries.npy&k=20&neighbours=5", "problem")
    assert found.ranking(20) == approximate(QUERIES, GALLERY, k=20).problem.ranking(20)
    assert found.gallery_scores is not None
    with pytest.warns(errors.RerankitWarning, match="% of the first candidates are missed"):
        rerankit.read("faiss:gallery.npy?queries=queries.npy&index=IVF40,Flat&settings=nprobe=1")
    of_index = rerankit.read("faiss://made.faiss?queries=queries.npy&k=20", "problem")
    assert np.mean(of_index.ranking(20).indices == Problem(QUERIES @ GALLERY.T).ranking(20).indices) > 0.999
    Path("vectors.index").write_bytes(Path("queries.npy").read_bytes())
    with pytest.raises(errors.FormatError, match=r"vectors\.index: is no index of FAISS"):
        rerankit.read("faiss:vectors.index?queries=queries.npy")
    for address, told in {
        "faiss:gallery.npy": "must say its queries",
        "faiss:gallery.npy?queries=queries.npy&q=3": "unknown option 'q'",
        "faiss:gallery.npy?queries=queries.npy&k=many": "'k' must be a whole number",
        "faiss:absent.faiss?queries=queries.npy": "there is no such file",
        "faiss:made.faiss?queries=queries.npy&index=Flat": "takes no index",
    }.items():
        with pytest.raises(errors.InputError, match=told):
            rerankit.read(address)


@pytest.mark.usefixtures("registered", "files")
def test_on_the_command_line() -> None:
    address = "faiss:gallery.npy?queries=queries.npy&k=30&index=PQ8x4"
    words = ["rerank", address, "--stage", "refine", "--out", "run.npz", "-k", "30", "--json"]
    with pytest.warns(errors.RerankitWarning, match="% of the first candidates are missed"):
        done = CliRunner().invoke(build(), words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["stage"] == "stage('refine')"
    assert rerankit.read("run.npz").shape == (100, 30)


def test_missed_of_lists_with_gaps() -> None:
    found = rerankit.Ranking([[0, -1], [1, 0]], [[1, -np.inf], [2, 1]], gallery_size=2)
    assert missed(found, np.eye(2), np.eye(2)) == 0.25


@pytest.mark.parametrize("name", ["k-reciprocal", "gnn", "diffusion", "dba", "consensus"])
def test_a_stage_has_its_neighbours_from_an_index(name: str) -> None:
    problem = Problem.from_embeddings(QUERIES, GALLERY)
    exact = rerank(problem, name, k=20)
    made = indexed.FaissIndexed(rerankit.stage(name), index="IVF40,Flat")
    whole, rough = (rerank(problem, made.clone(settings=probes), k=20) for probes in ("nprobe=40", "nprobe=1"))
    assert whole.notes["indexed"]["missed"] < 0.001  # ties by rounding aside
    assert np.mean(whole.indices == exact.indices) > 0.97  # the lowest and the middle score are those of a sample
    assert 0.05 < rough.notes["indexed"]["missed"] < 0.9


def test_an_index_within_a_stage_is_prepared_saved_and_refused(tmp_path: Path) -> None:
    manager().register(rerankit_faiss, "faiss under test")
    try:
        made = rerankit.stage("indexed", stage=rerankit.stage("diffusion"), index="HNSW8", settings="efSearch=8")
        ready = rerankit.prepare(made, rerankit.Gallery(GALLERY))
        ready.save(tmp_path / "ready")
        again = rerankit.load(tmp_path / "ready")
        assert isinstance(again, rerankit.Ready)
        assert again.rerank(QUERIES, k=5) == ready.rerank(QUERIES, k=5)
        assert again.rerank(QUERIES, k=5).notes["indexed"] == ready.rerank(QUERIES, k=5).notes["indexed"]
        assert again.pipeline.stages[0] == made
    finally:
        manager().unregister("faiss under test")
    with pytest.raises(errors.InputError, match="'index' must be a text of FAISS's factory"):
        indexed.FaissIndexed(rerankit.stage("dba"), index=3)
    wrong = indexed.FaissIndexed(rerankit.stage("dba"), index="IVF10,Flat", settings="probes=2")
    with pytest.raises(errors.StageError, match="'settings' must fit the index"):
        rerank(Problem.from_embeddings(QUERIES, GALLERY), wrong, k=5)
