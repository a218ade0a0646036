"""Stages against packages that have the same method; a test is skipped where its package is not installed.

`ranx` brings a compiler and a dozen packages for the rules of rank fusion: its figures are written out below. `kiez`
and `scikit-hubness` have CSLS, but run only beside older numpy and scikit-learn; nothing that installs was found for
inverted softmax in its three forms, dual softmax, mutual neighbours, diffusion, graph propagation and query expansion:
these have naive loops alone. Isotonic and logistic regression and trees are held against scikit-learn elsewhere.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import rerankit
from rerankit import Problem, stage
from rerankit.fusion import combine
from strategies import distinct, people


def _file_of(package: str, path: str) -> ModuleType:
    """One file of a package, without the package's own imports."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"package '{package}' is not installed")
    spec = importlib.util.spec_from_file_location(f"{package}_part", Path(found.submodule_search_locations[0]) / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (7, 1, 0.0)])
def test_k_reciprocal_equals_torchreid(k1, k2, weight):
    published = _file_of("torchreid", "reid/utils/rerank.py")
    queries, gallery = people(queries=60, gallery=240, identities=20)
    parts = [
        np.sqrt(np.maximum(2 - 2 * one @ other.T, 0))
        for one, other in ((queries, gallery), (queries, queries), (gallery, gallery))
    ]
    expected = published.re_ranking(*parts, k1=k1, k2=k2, lambda_value=weight)
    problem = Problem.from_distances(parts[0], query_distances=parts[1], gallery_distances=parts[2])
    found = rerankit.rerank(problem, "k-reciprocal", k=None, k1=k1, k2=k2, weight=weight)
    np.testing.assert_allclose(-found.to_dense(), expected, atol=1e-5)


def test_nnn_equals_nnn_retrieval():
    pytest.importorskip("torch")
    nnn = pytest.importorskip("nnn", reason="package 'nnn-retrieval' is not installed")
    queries, gallery = people()
    bank = people(queries=40, seed=1)[0]
    retriever = nnn.NNNRetriever(gallery.shape[1])
    ranker = nnn.NNNRanker(retriever, gallery, bank, alternate_ks=8, alternate_weight=0.5, batch_size=16)
    scores, indices = ranker.search(queries, 10)
    found = rerankit.rerank(
        Problem.from_embeddings(queries, gallery, query_bank=bank), "nnn", k=60, neighbours=8, alpha=0.5, published=True
    )
    np.testing.assert_array_equal(found.indices[:, :10], np.asarray(indices))
    np.testing.assert_allclose(found.scores[:, :10], np.asarray(scores), atol=1e-5)


NONE = np.nan
SOURCES = np.float32([[[0.9, 0.7, 0.4, 0.1, NONE]], [[4, NONE, 5, NONE, 2]], [[1, 3, NONE, 0.2, 0.5]]])
RANX = {  # ranx 0.3.21, fuse(…, norm="min-max" for the two sums); its Borda points begin at 1 instead of 0
    "rrf": [0.04865151, 0.03252247, 0.03226646, 0.03125, 0.03174603],
    "isr": [4.5, 2.5, 2.22222222, 0.25, 0.44444444],
    "borda": [10, 7.5, 6, 2.5, 4],
    "combmnz": [5.85714286, 3.5, 2.75, 0, 0.21428571],
    "sum": [1.95238095, 1.75, 1.375, 0, 0.10714286],
}


@pytest.mark.parametrize("method", RANX)
def test_fusion_gives_the_figures_of_ranx(method):
    np.testing.assert_allclose(combine(SOURCES, method, weights=[1, 1, 1])[0], RANX[method], rtol=1e-5)


@pytest.mark.parametrize("cells_kept", [None, 100])
def test_sinkhorn_converges_to_the_plan_of_pot(cells_kept):
    ot = pytest.importorskip("ot", reason="package 'POT' is not installed")
    scores, beta = distinct(12, 20), 5.0
    plan = ot.sinkhorn(np.ones(12), np.full(20, 12 / 20), -scores.astype(np.float64), reg=1 / beta, stopThr=1e-12)
    ranking = Problem(scores).ranking()
    made = stage("sinkhorn", beta=beta, iterations=300, cells_kept=cells_kept, published=True)
    found = made.rescore(Problem(scores), ranking) * beta
    expected = np.log(np.take_along_axis(plan, ranking.indices, axis=1))
    # A plan's logarithm and the stage's score differ by one number in every row.
    spread = found - expected
    np.testing.assert_allclose(spread - spread.mean(axis=1, keepdims=True), 0, atol=1e-4)
