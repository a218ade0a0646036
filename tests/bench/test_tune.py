from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rerankit import Pipeline, Stage, stage
from rerankit.bench import bench, spaces, tune
from rerankit.errors import InputError
from rerankit.metrics import Places, register_metric, success, traits
from rerankit.plugins import manager
from rerankit.tasks import task


class Push(Stage):
    """Adds `amount` times the right answer, which the scores hide in their last digit."""

    name = "push"

    def __init__(self, amount: float = 0.0, other: int = 1) -> None:
        self.amount, self.other = amount, other

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        return ranking.scores + self.amount * (ranking.scores * 1000 % 1)


class Turn(Stage):
    """Turns every list round, or does not."""

    name = "turn"

    def __init__(self, turned: bool = False) -> None:
        self.turned = turned

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        return -ranking.scores if self.turned else ranking.scores


@pytest.fixture
def splits(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = []
    for name, seed in (("val", 1), ("test", 2)):
        benchmark = task("flickr30k", split=name).write_miniature(tmp_path / name, seed=seed).load(tmp_path / name)
        rng = np.random.default_rng(seed)
        scores = np.floor(rng.random(benchmark.matrices["scores"].shape) * 1000) / 1000
        scores += benchmark.parts[0].relevance.to_dense() * 0.0004
        made.append((benchmark, scores))
    return made


def test_the_best_on_validation_is_chosen_and_recorded(splits) -> None:  # type: ignore[no-untyped-def]
    (validation, val_scores), (test, test_scores) = splits
    tuned = tune(Push(), {"amount": [-1.0, 0.0, 5.0]}, validation, val_scores, k=20, against=test)
    assert tuned.record["chosen"] == {"amount": 5.0}
    assert [each["values"]["amount"] for each in tuned.record["tried"]] == [-1.0, 0.0, 5.0]
    assert tuned.record["figure"] == "rsum"
    assert tuned.record["sha256"] == validation.checksum
    assert tuned.contender.pipeline.stages[0].get_params()["amount"] == 5.0
    (result,) = bench(test, test_scores, tuned.contender, k=20, tuning={"push": tuned.record})
    assert result.tuning == tuned.record
    assert result.summary["last"]["rsum"] > result.summary["first"]["rsum"]


def test_random_trials_and_names(splits) -> None:  # type: ignore[no-untyped-def]
    (validation, scores), _ = splits
    pipeline = Push() >> stage("mutual-rank")
    space = {"push.amount": [0.0, 1.0, 2.0, 3.0], "0.other": [1, 2]}
    tuned = tune(pipeline, space, validation, scores, k=5, trials=3, seed=4)
    assert len(tuned.record["tried"]) == 3
    assert tuned.record["method"] == "random, 3 trials, seed 4"
    again = tune(pipeline, space, validation, scores, k=5, trials=3, seed=4)
    assert again.record["tried"] == tuned.record["tried"]
    assert len(tune(pipeline, space, validation, scores, k=5, trials=99).record["tried"]) == 8


def test_lower_is_better_for_ranks(splits) -> None:  # type: ignore[no-untyped-def]
    (validation, scores), _ = splits
    tuned = tune(Push(), {"amount": [0.0, 5.0]}, validation, scores, k=20, figure="image-to-text/mean_rank")
    figures = [each["figure"] for each in tuned.record["tried"]]
    assert tuned.record["chosen"] == {"amount": [0.0, 5.0][int(np.argmin(figures))]}


def test_lower_is_better_where_a_metric_says_so(tmp_path: Path) -> None:
    @traits(better="lower")
    def failure(places: Places, k: int) -> np.ndarray:
        return 1 - success(places, k)

    register_metric("failure", failure)
    try:
        task("generic").write_miniature(tmp_path)
        made = task("generic", metrics=["failure@1"]).load(tmp_path)
        scores = made.parts[0].relevance.to_dense() + np.linspace(0, 0.5, 54).reshape(6, 9)
        tuned = tune(Turn(), {"turned": [True, False]}, made, scores, k=9, figure="forward/failure@1")
        assert tuned.record["chosen"] == {"turned": False}
    finally:
        manager().metrics.drop("this process")


def test_what_cannot_be_tuned(splits) -> None:  # type: ignore[no-untyped-def]
    (validation, scores), _ = splits
    with pytest.raises(InputError, match="'validation' must not be the data that is tested on"):
        tune(Push(), {"amount": [1]}, validation, scores, against=validation)
    with pytest.raises(InputError, match="'space' must name parameters with a list of at least one value"):
        tune(Push(), {}, validation, scores)
    with pytest.raises(InputError, match="must name one stage before the parameter: 0 or push, 1 or push"):
        tune(Push() >> Push(), {"amount": [1]}, validation, scores)
    with pytest.raises(InputError, match="'trials' must be at least 1"):
        tune(Push(), {"amount": [1]}, validation, scores, trials=0)
    with pytest.raises(InputError, match="'figure' must be one of the task's figures"):
        tune(Push(), {"amount": [1]}, validation, scores, figure="map")


def test_a_search_goes_on_where_it_was_interrupted(  # type: ignore[no-untyped-def]
    splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (validation, scores), _ = splits
    tried: list[float] = []
    plain = Push.rescore

    def counted(self, problem, ranking):  # type: ignore[no-untyped-def]
        if self.amount == 2.0 and not tried.count(2.0):
            tried.append(2.0)
            raise KeyboardInterrupt
        tried.append(self.amount)
        return plain(self, problem, ranking)

    monkeypatch.setattr(Push, "rescore", counted)
    plan = {"validation": validation, "scores": scores, "k": 20, "out": tmp_path / "out"}
    with pytest.raises(KeyboardInterrupt):
        tune(Push(), {"amount": [0.0, 1.0, 2.0]}, **plan)
    tuned = tune(Push(), {"amount": [0.0, 1.0, 2.0]}, **plan)
    assert tried == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 2.0]  # two parts each, and none a second time
    assert tune(Push(), {"amount": [0.0, 1.0, 2.0]}, **plan).record == tuned.record
    assert len(tried) == 7
    (kept,) = (tmp_path / "out").iterdir()
    whole = kept.read_text()
    for number, text in enumerate(("cut", "[" * 3000, f"[{whole}]", whole.replace(": ", ': "x", "')), 1):
        kept.write_text(text)
        assert tune(Push(), {"amount": [0.0, 1.0, 2.0]}, **plan).record == tuned.record
        assert len(tried) == 7 + 6 * number


def test_a_space_for_several_pipelines() -> None:
    pipelines = [Pipeline([name]) for name in ("csls", "sinkhorn", "mutual-rank")]
    assert spaces(pipelines, {"csls.k": [1], "sinkhorn.beta": [2]}) == [{"csls.k": [1]}, {"sinkhorn.beta": [2]}, {}]
    common = {"bank": [None], "0.bank": ["queries"]}
    assert spaces(pipelines[:2], common) == [common, common]
    with pytest.raises(InputError, match=r"must name stages of the pipelines: csls, sinkhorn \(got cls.k\)"):
        spaces(pipelines[:2], {"cls.k": [1]})
