"""Scores of whole galleries as files of matrices."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Problem
from rerankit.errors import InputError
from rerankit.formats.matrix_files import write_matrices

SCORES = np.random.default_rng(0).random((4, 6), dtype=np.float32)


def test_only_scores_are_replaced(tmp_path):
    out, other = tmp_path / "scores", tmp_path / "photos"
    for given in (SCORES, Problem(SCORES).scores, Problem.from_embeddings(SCORES, SCORES, metric="dot").scores):
        (row,) = write_matrices({"scores": given}.items(), out, overwrite=True)
        assert row["file"] == "scores.npy"
        written = np.load(out / "scores.npy")
        assert row["shape"] == list(written.shape)
    np.testing.assert_allclose(written, SCORES @ SCORES.T, rtol=1e-6)
    other.mkdir()
    (other / "cat.jpg").touch()
    with pytest.raises(InputError, match="which rerankit did not write"):
        write_matrices({"scores": SCORES}.items(), other, overwrite=True)
    assert (other / "cat.jpg").is_file()


def test_what_is_no_matrix_of_a_name(tmp_path):
    lists = Problem.from_rankings([[0, 2]], [[0.9, 0.1]], 5).scores
    for name, given, told in (
        ("lists", lists, "'lists' must be scores of every item"),
        ("../out", SCORES, "must not have '..'"),
        ("a:b", SCORES, "must be the name of a file on any system"),
    ):
        with pytest.raises(InputError, match=told):
            write_matrices([(name, given)], tmp_path / "out")
        assert not (tmp_path / "out").exists()
