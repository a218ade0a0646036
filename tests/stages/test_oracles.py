"""Stages against packages that have the same method; a test is skipped where its package is not installed.

`ranx` brings a compiler and a dozen packages, and `torchreid` builds beside old libraries alone: their figures are
written out. `kiez`
and `scikit-hubness` have CSLS, but run only beside older numpy and scikit-learn; nothing that installs was found for
inverted softmax in its three forms, dual softmax, mutual neighbours, diffusion, graph propagation and query expansion:
these have naive loops alone. Isotonic and logistic regression and trees are held against scikit-learn elsewhere.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import rerankit
from rerankit import Problem, stage
from rerankit.fusion import combine
from strategies import distinct, people


def test_k_reciprocal_gives_the_figures_of_torchreid(golden):
    known = json.loads((golden / "k_reciprocal.json").read_text())
    across, own, gallery = (np.array(known[part]) for part in ("queries_to_gallery", "queries", "gallery"))
    problem = Problem.from_distances(across, query_distances=own, gallery_distances=gallery)
    for case in known["cases"]:
        expected = np.array(case.pop("distances"))
        found = rerankit.rerank(problem, "k-reciprocal", k=None, strength=1, align=False, **case)
        # A query that shares no neighbour with any item keeps the order that came; theirs has nothing but ties then.
        tied = (expected == 1).all(axis=1)
        assert np.array_equal(found.indices[tied], problem.ranking().indices[tied])
        np.testing.assert_allclose(-found.to_dense()[~tied], expected[~tied], atol=1e-5)
        assert tied.sum() < len(tied)


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
