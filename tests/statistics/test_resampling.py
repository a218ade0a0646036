from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rerankit.errors import InputError
from rerankit.statistics import bootstrap, holm, paired_bootstrap, randomisation, student_t


def test_the_two_ways_of_drawing_agree() -> None:
    rng = np.random.default_rng(0)
    few = rng.integers(0, 2, 400).astype(float)  # drawn as kinds of groups
    many = few + 1e-9 * rng.random(400)  # drawn as groups
    np.testing.assert_allclose(bootstrap(few), bootstrap(many), atol=0.01)
    assert randomisation(few, few[::-1]) == pytest.approx(randomisation(many, many[::-1]), abs=0.02)
    ranks = rng.integers(1, 30, 400).astype(float)
    np.testing.assert_allclose(
        bootstrap(ranks, summary="median"),
        bootstrap(ranks + 1e-9 * rng.random(400), summary="median"),
        atol=1,
    )


def naive(values: np.ndarray, labels: np.ndarray, summary: str, samples: int, other: np.ndarray | None = None):  # type: ignore[no-untyped-def]
    """Draws groups one by one and puts their queries together."""
    rng = np.random.default_rng(99)
    reduce = np.mean if summary == "mean" else np.median
    names = np.unique(labels)
    drawn = []
    for _ in range(samples):
        rows = np.concatenate([np.flatnonzero(labels == name) for name in rng.choice(names, len(names))])
        drawn.append(reduce(values[rows]) - (0 if other is None else reduce(other[rows])))
    return np.array(drawn)


@pytest.mark.parametrize("summary", ["mean", "median"])
@pytest.mark.parametrize("kind", ["few values", "many values"])
def test_groups_are_drawn_as_a_naive_loop_draws_them(summary: str, kind: str) -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(40), rng.integers(1, 6, 40))
    rng.shuffle(labels)
    base = rng.integers(0, 3, 40)[labels] + rng.integers(0, 2, len(labels))
    one = base + (0.0 if kind == "few values" else rng.random(len(labels)))
    two = one + rng.random(len(labels)) - 0.3
    plan = {"summary": summary, "samples": 4000, "groups": labels}
    wanted = np.quantile(naive(one, labels, summary, 1500), [0.025, 0.975])
    np.testing.assert_allclose(bootstrap(one, **plan), wanted, atol=0.12)
    between = np.quantile(naive(two, labels, summary, 1500, one), [0.025, 0.975])
    np.testing.assert_allclose(paired_bootstrap(one, two, **plan)[:2], between, atol=0.1)


@pytest.mark.parametrize("summary", ["mean", "median"])
def test_groups_are_swapped_as_a_naive_loop_swaps_them(summary: str) -> None:
    rng = np.random.default_rng(8)
    labels = np.repeat(np.arange(12), 4)
    one = rng.integers(1, 9, 48).astype(float)
    two = one + rng.integers(-1, 3, 12)[labels]
    reduce = np.mean if summary == "mean" else np.median
    observed = abs(reduce(two) - reduce(one))
    hits = 0
    for signs in product([False, True], repeat=12):
        swap = np.array(signs)[labels]
        hits += abs(reduce(np.where(swap, one, two)) - reduce(np.where(swap, two, one))) >= observed - 1e-12
    found = randomisation(one, two, summary=summary, samples=20_000, groups=labels)
    assert found == pytest.approx(hits / 2**12, abs=0.02)


@pytest.mark.parametrize("summary", ["mean", "median"])
def test_queries_given_twice_do_not_narrow_the_interval(summary: str) -> None:
    rng = np.random.default_rng(9)
    one, two = rng.integers(1, 20, (2, 60)).astype(float)
    names = np.arange(60)
    five = [np.repeat(each, 5) for each in (one, two, names)]
    plan = {"summary": summary, "seed": 3}
    assert bootstrap(five[0], groups=five[2], **plan) == bootstrap(one, **plan)
    assert paired_bootstrap(*five[:2], groups=five[2], **plan) == paired_bootstrap(one, two, **plan)
    assert randomisation(*five[:2], groups=five[2], **plan) == pytest.approx(randomisation(one, two, **plan), abs=1e-9)
    low, high = bootstrap(five[0], **plan)  # taken as 300 queries they look like more than they are
    wide = bootstrap(one, **plan)
    assert high - low < 0.75 * (wide[1] - wide[0])
    assert student_t(*five[:2], groups=five[2]) == pytest.approx(student_t(one, two))
    assert student_t(*five[:2]) < student_t(one, two)


def test_under_no_difference_groups_keep_the_promised_rate() -> None:
    rng = np.random.default_rng(10)
    labels = np.repeat(np.arange(30), 5)
    found = []
    for seed in range(200):  # what a picture gains is the same for all its captions, and nothing on average
        gain = rng.normal(size=30)[labels] + 0.1 * rng.normal(size=150)
        zero = np.zeros(150)
        found.append([randomisation(zero, gain, samples=300, seed=seed, groups=g) < 0.05 for g in (labels, None)])
    together, apart = np.mean(found, axis=0)
    assert together <= 0.09
    assert apart > 0.2


def test_a_bootstrap_of_few_groups_says_too_often_that_there_is_a_difference() -> None:
    rng = np.random.default_rng(12)
    zero, labels = np.zeros(50), np.repeat(np.arange(10), 5)
    found = []
    for seed in range(400):
        gain = rng.normal(size=10)[labels] + 0.5 * rng.normal(size=50)
        plan = {"samples": 300, "seed": seed, "groups": labels}
        found.append([paired_bootstrap(zero, gain, **plan)[2] < 0.05, randomisation(zero, gain, **plan) < 0.05])
    bootstrapped, swapped = np.mean(found, axis=0)
    assert bootstrapped > 0.075
    assert swapped <= 0.065


def test_a_median_far_from_the_middle_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from rerankit.statistics import draws

    values = np.random.default_rng(11).random(300)
    wanted = bootstrap(values, summary="median")
    monkeypatch.setattr(draws, "_SIGMAS", 0.5)  # a window that many samples leave
    assert bootstrap(values, summary="median") == wanted


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


def test_one_query_is_no_evidence() -> None:
    assert paired_bootstrap([0.0], [1.0]) == (1.0, 1.0, 1.0)
    assert randomisation([0.0], [1.0]) == 1.0


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
        (lambda: bootstrap([1.0, 2.0], groups=[1]), "'groups' must have one label for each of the 2 queries"),
        (lambda: bootstrap([1.0, 2.0], groups=[1, 1]), "'groups' must hold at least two groups"),
        (lambda: randomisation([1.0], [1.0, 2.0]), "'second' must have a value for each of the 1 queries"),
    ],
)
def test_bad_input(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        call()
