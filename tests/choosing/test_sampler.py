"""Samplers of optuna beside all settings and random ones."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rerankit import Pipeline, Problem, Relevance, bench, tune
from rerankit.bench.draws import ProposedDraws, draws
from rerankit.errors import InputError, MissingExtraError, UnknownNameError
from rerankit.tasks import task

SPACE = {"rising": list(range(40)), "kinds": ["none", "some", "most"], "falling": list(range(40, 0, -1))}


def pairs(size: int = 40, seed: int = 0) -> tuple[Problem, Relevance]:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(size, size)) + 2 * random.normal(size=size) + 3 * np.eye(size)
    return Problem(scores), Relevance.from_dense(np.eye(size))


def hill(values: dict[str, object]) -> float:
    """0 at one setting, and lower the further away."""
    return -abs(values["rising"] - 29) - abs(values["falling"] - 8) - 10.0 * (values["kinds"] != "some")


def searched(sampler: object, seed: int, better: str = "higher", trials: int = 60) -> list[float]:
    sign = 1 if better == "higher" else -1
    drawn = draws(SPACE, trials, seed, sampler, better)
    found, seen = [], []
    for values in drawn:
        seen.append(tuple(values.values()))
        found.append(hill(values))
        drawn.tell(sign * found[-1])
    assert len(set(seen)) == len(seen) == len(drawn) == trials
    return found


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_what_was_found_before_leads_to_better_settings(better):
    pytest.importorskip("optuna")
    by_chance = [max(searched("random", seed)) for seed in range(5)]
    proposed = [searched("tpe", seed, better) for seed in range(5)]
    assert np.mean([max(found) for found in proposed]) > np.mean(by_chance) + 2
    assert np.mean([found[-20:] for found in proposed]) > np.mean([found[:20] for found in proposed]) + 10
    assert proposed[0] == searched("tpe", 0, better)


def test_no_setting_is_tried_twice_and_none_beyond_the_space():
    pytest.importorskip("optuna")
    drawn = draws({"a": [3, 5], "b": ["x", "y"]}, 50, 0, "tpe")
    found = []
    for values in drawn:
        found.append(values)
        drawn.tell(0.0)
    assert len(drawn) == 4
    assert sorted(map(str, found)) == sorted(map(str, draws({"a": [3, 5], "b": ["x", "y"]}, None, 0)))


@pytest.mark.parametrize("given", ["tpe", "a sampler"])
def test_tune_takes_a_sampler_and_tells_it_every_figure(given, monkeypatch):
    optuna, plain = pytest.importorskip("optuna"), ProposedDraws.tell
    problem, right = pairs()
    space = {"nnn.neighbours": [1, 2, 5, 10, 20], "nnn.alpha": [0.25, 0.5, 0.75, 1.0]}

    def once() -> Pipeline:
        sampler = "tpe" if given == "tpe" else optuna.samplers.RandomSampler(seed=3)
        return tune(["nnn", "sinkhorn"], space, problem, right, trials=12, sampler=sampler, metric="mean_rank")

    tuned = once()
    assert [each.values for each in tuned.tried] == [each.values for each in once().tried]
    assert len({str(each.values) for each in tuned.tried}) == len(tuned.tried) == 13
    assert tuned.stages == min(tuned.tried, key=lambda each: each.figure).pipeline.stages
    told = []
    monkeypatch.setattr(ProposedDraws, "tell", lambda self, figure: (told.append(figure), plain(self, figure)))
    tuned = once()
    assert told == [each.figure for each in tuned.tried[:12]]
    assert len(set(told)) > 1


def test_optuna_announces_nothing(caplog):
    optuna = pytest.importorskip("optuna")
    optuna.logging.enable_propagation()
    try:
        searched("tpe", 0, trials=3)
    finally:
        optuna.logging.disable_propagation()
    assert caplog.messages == []
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


def test_every_value_is_checked_before_anything_runs(monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setattr("rerankit.choosing.tuning._figure", lambda *_: pytest.fail("it ran"))
    with pytest.raises(InputError, match="'neighbours'"):
        tune("nnn", {"neighbours": [1, 2, 3, "many"], "alpha": [0.5]}, *pairs(), trials=2, sampler="tpe")


def test_a_benchmark_says_how_settings_were_chosen(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    told, plain = [], ProposedDraws.tell
    monkeypatch.setattr(ProposedDraws, "tell", lambda self, figure: (told.append(figure), plain(self, figure)))
    task("generic").write_miniature(tmp_path)
    made = task("generic").load(tmp_path)
    scores = made.parts[0].relevance.to_dense() + np.linspace(0, 0.5, 54).reshape(6, 9)
    plan = {"trials": 4, "seed": 2, "sampler": "tpe", "k": 5, "out": tmp_path / "out"}
    record = bench.tune("nnn", {"neighbours": [1, 2, 3, 4, 5, 6]}, made, scores, **plan).record
    assert record["method"] == "tpe, 4 trials, seed 2"
    assert len(record["tried"]) == 4
    assert told == [each["figure"] for each in record["tried"]]
    again = bench.tune("nnn", {"neighbours": [1, 2, 3, 4, 5, 6]}, made, scores, **plan)
    assert again.record == record


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"sampler": "tp", "trials": 3}, UnknownNameError, "unknown sampler 'tp'; did you mean 'tpe'"),
        (
            {"sampler": 3, "trials": 3},
            InputError,
            r"'sampler' must be one of random, tpe, or a sampler of optuna \(got 3",
        ),
        ({"sampler": "tpe"}, InputError, r"'trials' must say how many settings the sampler may try \(got None"),
        ({"sampler": "tpe", "trials": 0}, InputError, "'trials' must be at least 1"),
        ({"trials": 1.5}, InputError, "'trials' must be a whole number"),
    ],
)
def test_bad_input(given, error, said):
    with pytest.raises(error, match=said):
        tune("csls", {"neighbours": [1]}, *pairs(), **given)


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rerankit\[optuna\]'"):
        tune("csls", {"neighbours": [1]}, *pairs(), trials=1, sampler="tpe")
