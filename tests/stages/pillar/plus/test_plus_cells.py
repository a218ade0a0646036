"""Cells, plans and columns against loops over the definition."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rerankit import Problem
from rerankit.stages.pillar.plus.cells import cells_of
from rerankit.stages.pillar.plus.columns import COLUMNS, FIXED, MESSAGES, kept, messages
from rerankit.stages.pillar.plus.near import Near, near_factors
from rerankit.stages.pillar.plus.plan import log_share, over_columns, over_rows, places, shares_of, sinkhorn
from rerankit.stages.pillar.plus.scale import Scale
from rerankit.stages.pillar.plus.settings import PlusSettings

SETTINGS = PlusSettings(cells_seen=(6, 4), cells_kept=(4, 2), pillars=3, likely=(3, 2))


@pytest.fixture
def problem():
    generator = np.random.default_rng(3)
    rows, columns = generator.normal(size=(7, 5)).astype(np.float32), generator.normal(size=(12, 5)).astype(np.float32)
    return Problem.from_embeddings(rows, columns)


def standard(scores: np.ndarray, *, own: bool) -> np.ndarray:
    """Scores on their standard scale: 0 the mean best, −1 the mean sixteenth (or last) of the lists."""
    lists = []
    for matrix in [scores] if own else [scores, scores.T]:
        rows = [np.delete(row, at) if own else row for at, row in enumerate(matrix)]
        limit = 16 if own else (6 if matrix is scores else 4)
        lists.append([np.sort(row)[::-1][:limit] for row in rows])
    top = np.mean([np.mean([row[0] for row in rows]) for rows in lists])
    gap = np.mean([np.mean([row[0] - row[-1] for row in rows]) for rows in lists])
    return (scores - top) / gap


def best(row: np.ndarray, count: int) -> list[int]:
    return np.lexsort((np.arange(len(row)), -row)).tolist()[:count]


def test_repr():
    assert repr(PlusSettings()).startswith("PlusSettings(cells_seen=(64, 32), cells_kept=(32, 16), pillars=16")


def test_a_full_plan_has_the_wanted_sums():
    rows, columns = 4, 6
    grid = SimpleNamespace(
        row=torch.arange(rows).repeat_interleave(columns),
        column=torch.arange(columns).repeat(rows),
        shape=(rows, columns),
    )
    plan = sinkhorn(grid, torch.randn(24, generator=torch.Generator().manual_seed(0)), 200).exp().reshape(rows, columns)
    torch.testing.assert_close(plan.sum(dim=1), torch.ones(rows))
    torch.testing.assert_close(plan.sum(dim=0), torch.full((columns,), rows / columns))


def test_shares_and_places_by_group():
    values, group = torch.tensor([1.0, 3.0, 3.0, -2.0]), torch.tensor([0, 2, 2, 0])
    shares = log_share(values, group, 3).exp()
    torch.testing.assert_close(shares[1:3], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(shares[[0, 3]], torch.softmax(torch.tensor([1.0, -2.0]), 0))
    assert places(values, group, 3).tolist() == [0, 0, 1, 1]


def test_weights_of_near_items_sum_to_one_when_all_are_near():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(6, 3, generator=generator), dim=1)
    near = (vectors @ vectors.T).fill_diagonal_(-9).sort(dim=1, descending=True)
    values, ids = near.values[:, :5], near.indices[:, :5]
    factors = near_factors(values, ids, 2.0, values.max())
    weights = Near(values, ids, Scale(0.0, 1.0), values.max(), factors, 2.0).weights(values, ids, factors)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(6), atol=0.02, rtol=0)


def test_cells_are_the_best_of_both_sides(problem):
    scores = problem.scores.rows()
    wide = {(r, c) for r in range(7) for c in best(scores[r], 6)} | {
        (r, c) for c in range(12) for r in best(scores[:, c], 4)
    }
    loose = cells_of(problem, PlusSettings(cells_seen=(6, 4), cells_kept=(99, 99), pillars=3, likely=(3, 2)))
    assert set(zip(loose.row.tolist(), loose.column.tolist(), strict=True)) == wide
    assert (loose.keys[1:] > loose.keys[:-1]).all()
    tight = cells_of(problem, SETTINGS)
    assert 7 * 4 <= len(tight) < len(loose)


def test_fixed_columns(problem):
    cells, scores = cells_of(problem, SETTINGS), standard(problem.scores.rows(), own=False)
    column_scores = standard(problem.gallery_scores.rows(), own=True)
    found = dict(zip(FIXED, cells.fixed.T.numpy(), strict=True))
    for at, (r, c) in enumerate(zip(cells.row.tolist(), cells.column.tolist(), strict=True)):
        row_best, column_best = np.sort(scores[r])[::-1][:6], np.sort(scores[:, c])[::-1][:4]
        near = np.sort(np.delete(column_scores[c], c))[::-1]
        expected = {
            "score": scores[r, c],
            "hub_row": row_best.mean(),
            "hub_column": column_best.mean(),
            "gap_row": scores[r, c] - row_best[0],
            "gap_column": scores[r, c] - column_best[0],
            "rank_row": np.log1p((row_best > scores[r, c]).sum()),
            "rank_column": np.log1p((column_best > scores[r, c]).sum()),
            "near_1": near[0],
            "near_3": near[2],
            "balance": np.log(12 / 7),
            "near_8": near[2],  # three pillars: the third stands for the eighth
        }
        for name, value in expected.items():
            assert found[name][at] == pytest.approx(value, abs=1e-4), name


def test_messages_are_what_the_pillars_say(problem):
    cells = cells_of(problem, SETTINGS)
    number = {key: at for at, key in enumerate(zip(cells.row.tolist(), cells.column.tolist(), strict=True))}
    p, q = over_rows(cells, cells.first_plan).exp(), over_columns(cells, cells.first_plan).exp()
    found = dict(zip(MESSAGES, messages(cells, cells.first_plan, shares_of(cells, cells.first_plan)).T, strict=True))
    columns, rows = (standard(one.rows(), own=True) for one in (problem.gallery_scores, problem.query_scores))

    def near(scores, item):
        return [other for other in best(scores[item], len(scores)) if other != item][:3]

    def listed(values, keys):
        return [float(values[number[key]]) if key in number else 0.0 for key in keys]

    for (r, c), at in number.items():
        weights = cells.column_weights[at].numpy()
        votes = weights * listed(p, [(r, other) for other in near(columns, c)])
        assert float(found["vote_16"][at]) == pytest.approx(np.log(votes.sum() + 0.03), abs=1e-5)
        assert float(found["vote_max"][at]) == pytest.approx(votes.max(), abs=1e-5)
        claims = weights * listed(q, [(r, other) for other in near(columns, c)])
        assert float(found["claims"][at]) == pytest.approx(np.log(claims.sum() + 0.003), abs=1e-5)
        rivals = cells.row_weights[at].numpy() * listed(q, [(other, c) for other in near(rows, r)])
        assert float(found["rivals"][at]) == pytest.approx(np.log(rivals.sum() + 0.01), abs=1e-5)
        likely = sorted((key for key in number if key[0] == r), key=lambda key: -float(cells.first_plan[number[key]]))[
            :3
        ]
        expected = sum(float(q[number[key]]) * columns[key[1], c] for key in likely if key[1] != c)
        assert float(found["likely_columns"][at]) == pytest.approx(expected, abs=1e-4)
        likely = sorted((key for key in number if key[1] == c), key=lambda key: -float(cells.first_plan[number[key]]))[
            :2
        ]
        expected = sum(float(p[number[key]]) * rows[key[0], r] for key in likely if key[0] != r)
        assert float(found["likely_rows"][at]) == pytest.approx(expected, abs=1e-4)


def test_columns_can_be_left_out():
    names = [name for name, use in zip(COLUMNS, kept(("vote", "rank_row")).tolist(), strict=True) if not use]
    assert names == ["rank_row", "vote_16", "vote_4", "vote_low", "vote_max"]


def test_scales():
    scores = np.float32([[0.9, 0.8, 0.5], [0.7, 0.6, -np.inf]])
    scale = Scale.of(scores)
    assert (scale.best, scale.gap) == (pytest.approx(0.8), pytest.approx(0.25))
    assert Scale.of(np.ones((3, 1), np.float32)).gap == 1.0
    assert Scale.of(np.full((3, 2), -np.inf, np.float32)) == Scale(0.0, 1.0)


def test_units_and_offsets_of_the_relations_do_not_matter(problem):
    matrices = [one.rows() for one in (problem.scores, problem.query_scores, problem.gallery_scores)]
    one, other = (
        cells_of(
            Problem(a * matrices[0] + b, query_scores=b - 1 + a * matrices[1], gallery_scores=matrices[2]), SETTINGS
        )
        for a, b in ((1.0, 0.0), (8.0, 2.0))
    )
    assert torch.equal(one.keys, other.keys)
    torch.testing.assert_close(one.fixed, other.fixed, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(one.row_likeness, other.row_likeness, atol=1e-3, rtol=1e-3)
