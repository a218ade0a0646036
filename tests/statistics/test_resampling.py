from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rerankit.errors import InputError
from rerankit.statistics import bootstrap, holm, paired_bootstrap, randomisation, student_t


def test_the_two_ways_of_drawing_agree() -> None:
    from rerankit.statistics import resampling

    rng = np.random.default_rng(0)
    few = rng.integers(0, 2, 400).astype(float)  # drawn as counts
    many = few + 1e-9 * rng.random(400)  # drawn as queries
    for summary in ("mean",):
        np.testing.assert_allclose(bootstrap(few, summary=summary), bootstrap(many, summary=summary), atol=0.01)
    ranks = rng.integers(1, 30, 400).astype(float)
    few_medians = resampling.resampled(ranks, "median", 2000, 0)
    many_medians = resampling.resampled(ranks + 1e-9 * rng.random(400), "median", 2000, 0)
    np.testing.assert_allclose(few_medians.mean(), many_medians.mean(), atol=0.1)


def test_medians_of_counts_are_medians() -> None:
    from rerankit.statistics.resampling import _median_of_counts

    distinct, counts = np.array([1.0, 4.0, 9.0]), np.array([[1, 2, 1], [2, 0, 2], [0, 0, 4], [3, 1, 0]])
    wanted = [np.median(np.repeat(distinct, row)) for row in counts]
    assert _median_of_counts(distinct, counts, 4).tolist() == wanted


def test_intervals_cover() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        values = rng.random(80) < 0.3
        low, high = bootstrap(values, samples=500, seed=seed)
        hits += low <= 0.3 <= high
    assert 180 <= hits <= 200


def test_randomisation_is_the_exact_test_in_the_limit() -> None:
    one = np.array([0.1, 0.5, 0.4, 0.9, 0.3, 0.2, 0.8])
    two = np.array([0.3, 0.6, 0.2, 1.0, 0.6, 0.5, 0.9])
    differences = two - one
    signs = np.array(list(product([1, -1], repeat=len(one))))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12)
    assert randomisation(one, two, samples=40_000) == pytest.approx(exact, abs=0.01)


def test_p_values_of_equal_systems_are_one() -> None:
    values = np.random.default_rng(2).random(50)
    assert randomisation(values, values) == 1.0
    assert student_t(values, values) == 1.0
    assert paired_bootstrap(values, values)[2] == 1.0
    assert randomisation(values, values, summary="median", samples=200) == 1.0


def test_p_values_are_even_under_no_difference() -> None:
    rng = np.random.default_rng(3)
    found = [randomisation(*rng.random((2, 40)), samples=400, seed=seed) for seed in range(200)]
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.1


def test_clear_differences_are_found() -> None:
    rng = np.random.default_rng(4)
    one = rng.integers(1, 40, 300).astype(float)
    two = np.maximum(1, one - rng.integers(0, 20, 300))
    low, high, p = paired_bootstrap(one, two, summary="median", samples=1000)
    assert low < high < 0
    assert p < 0.05
    assert randomisation(one, two, summary="median", samples=1000) < 0.05
    assert student_t(one, two) < 0.001


def test_student_t_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    one, two = np.random.default_rng(5).random((2, 30))
    assert student_t(one, two) == pytest.approx(stats.ttest_1samp(two - one, 0).pvalue)


def test_holm() -> None:
    assert holm([0.04, 0.01, 0.9]).tolist() == pytest.approx([0.08, 0.03, 0.9])
    assert holm([]).tolist() == []
    with pytest.raises(InputError, match="'values' must be p-values"):
        holm([1.5])


def test_the_seed_decides() -> None:
    values = np.random.default_rng(6).random(30)
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1)
    assert bootstrap(values, seed=1) != bootstrap(values, seed=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap([]), "'values' must be one finite value per query"),
        (lambda: bootstrap([np.nan]), "'values' must be one finite value"),
        (lambda: bootstrap([1.0], level=1.0), "'level' must lie between 0 and 1"),
        (lambda: bootstrap([1.0], samples=5), "'samples' must be at least 100"),
        (lambda: randomisation([1.0], [1.0, 2.0]), "'second' must have a value for each of the 1 queries"),
    ],
)
def test_bad_input(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        call()
