"""Rows that repeat others, of every form of scores; and what a repeated query of a bank changes: nothing."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import DenseScores, Gallery, ListScores, Problem, prepare, rerank
from rerankit.scores import EmbeddingScores, distinct_rows, without_repeats

STAGES = (
    *("sinkhorn", "inverted-softmax", "nnn", "csls", "dual-softmax", "qb-norm", "dual-is"),
    *("plan", "mutual-rank", "mutual-neighbours"),
)


def forms(seed: int, rows: np.ndarray):
    random = np.random.default_rng(seed)
    vectors, items = random.normal(size=(20, 8)), random.normal(size=(30, 8))
    matrix = (vectors @ items.T).astype(np.float32)
    yield EmbeddingScores(vectors[rows], items, "cosine")
    yield DenseScores(matrix[rows])
    yield DenseScores((matrix[rows] > 0).astype(np.float32))  # few values: rows that are alike where they are sampled
    cells = [np.sort(random.permutation(30)[:5]) for _ in range(20)]
    yield ListScores.from_cells(
        np.repeat(np.arange(len(rows)), 5),
        np.concatenate([cells[row] for row in rows]),
        np.concatenate([matrix[row, cells[row]] for row in rows]),
        (len(rows), 30),
    )


@pytest.mark.parametrize("seed", range(4))
def test_every_row_once_as_in_a_loop(seed):
    rows = np.random.default_rng(seed).integers(20, size=40)
    for scores in forms(seed, rows):
        seen: list[bytes] = []
        expected = []
        for number, row in enumerate(scores.rows()):
            if row.tobytes() not in seen:
                seen.append(row.tobytes())
                expected.append(number)
        assert distinct_rows(scores).tolist() == expected
        assert without_repeats(scores).shape == (len(expected), 30)


def test_rows_that_differ_are_left_as_they_are():
    for scores in forms(0, np.arange(20)):
        if scores.shape[0] == len(distinct_rows(scores)):
            assert without_repeats(scores) is scores
    wide = np.zeros((2, 1000), np.float32)
    wide[1, 5] = 1  # a column that is not looked at first
    assert distinct_rows(DenseScores(wide)).tolist() == [0, 1]


@pytest.mark.parametrize("name", STAGES)
def test_a_query_of_a_bank_that_is_asked_again_changes_nothing(name, tmp_path):
    random = np.random.default_rng(0)
    log, items, asked = (random.normal(size=(size, 16)) for size in (70, 40, 9))
    again = np.concatenate([log[:30], log, log[:10]])[random.permutation(110)]
    once, twice = (Problem.from_embeddings(asked, items, query_bank=bank) for bank in (log, again))
    expected, found = rerank(once, name, k=20), rerank(twice, name, k=20)
    assert np.array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5, atol=1e-5)
    ready = prepare(name, Gallery(items, bank=again))
    ready.save(tmp_path / name)
    for one in (ready, rerankit.load(tmp_path / name)):
        assert np.array_equal(one.rerank(asked, k=20).indices, found.indices)
        assert np.array_equal(one.rerank(asked, k=20).scores, found.scores)
