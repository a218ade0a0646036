"""What observers are told: which run, stage, task and part; what is learned, measured and chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Event, Problem, Relevance, Stage, hookimpl, plugins, stage
from rerankit.bench import bench
from rerankit.bench.tune import tune as tune_on_files
from rerankit.events import emit
from rerankit.plugins import manager, spec
from rerankit.tasks import task

OBSERVERS = [name for name in vars(spec) if name.startswith("rerankit_") and "_register_" not in name]


@pytest.fixture
def seen() -> Iterator[list[Event]]:
    """Every event that is emitted."""
    plugins.reset()
    found: list[Event] = []

    class Everything:
        pass

    for name in OBSERVERS:

        def observe(self: Any, event: Event) -> None:
            found.append(event)

        observe.__name__ = name
        setattr(Everything, name, hookimpl(observe))
    manager().register(Everything(), "everything")
    yield found
    plugins.reset()


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.kind != "progress"]


def test_the_events_of_a_run_share_its_id(seen: list[Event]) -> None:
    pipeline = stage("mutual-rank") >> stage("fuse", sources=["scores", stage("nnn") >> stage("csls")])
    rerankit.rerank(np.random.default_rng(0).normal(size=(5, 6)), pipeline)
    inner = ["run_started", "stage_started", "stage_finished", "stage_started", "stage_finished", "run_finished"]
    outer = ["run_started", "stage_started", "stage_finished", "stage_started"]
    assert kinds(seen) == [*outer, *inner, "stage_finished", "run_finished"]
    ids = [event.run for event in seen if event.kind != "progress"]
    assert len(set(ids)) == 2
    assert ids == [ids[0]] * 4 + [ids[4]] * 6 + [ids[0]] * 2
    assert {event.pipeline for event in seen if event.run == ids[0]} == {pipeline}
    assert [event.stage.name for event in seen if event.kind == "stage_finished"] == [
        *("mutual-rank", "nnn", "csls", "fuse")
    ]
    assert seen[0].stage is seen[-1].stage is None
    assert "mutual-rank" in seen[-1].ranking.notes["stages"][0]
    again = len(seen)
    rerankit.rerank([[1, 2], [2, 1]], "nnn")
    assert seen[again].run not in set(ids)


def test_a_run_that_fails_says_so_once(seen: list[Event]) -> None:
    class Broken(Stage):
        name = "broken"

        def rescore(self, problem: Any, ranking: Any) -> Any:
            raise ValueError("worn out")

    with pytest.raises(rerankit.errors.StageError):
        rerankit.rerank([[1, 2], [2, 1]], stage("nnn") >> Broken())
    assert kinds(seen) == ["run_started", "stage_started", "stage_finished", "stage_started", "run_failed"]
    assert "worn out" in seen[-1].description
    assert seen[-1].run == seen[0].run


def test_a_benchmark_says_task_and_part_and_its_result(seen: list[Event], tmp_path: Path) -> None:
    made = task("generic").write_miniature(tmp_path)
    (result,) = bench(made, np.eye(6, 9), "nnn", data=tmp_path, k=5)
    runs = [event for event in seen if event.kind == "run_finished"]
    assert [(event.task, event.part) for event in runs] == [(made.card.name, part.name) for part in result.parts]
    measured = [event for event in seen if event.kind == "evaluated"]
    assert {event.task for event in measured} == {made.card.name}
    assert result.parts[0].stages[0].evaluation in [event.outcome for event in measured]
    (told,) = [event for event in seen if event.kind == "result"]
    assert told.outcome is result
    assert (told.task, told.part) == (made.card.name, "")


def test_what_is_learned_measured_and_chosen(seen: list[Event], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    problem, relevance = Problem(random.normal(size=(30, 30)) + 2 * np.eye(30)), Relevance.from_dense(np.eye(30))
    fitted = stage("calibrate")
    fitted.fit(problem, relevance)
    assert [(event.kind, event.stage) for event in seen if "fit" in event.kind] == [
        ("fit_started", fitted),
        ("fit_finished", fitted),
    ]
    with pytest.raises(rerankit.errors.RerankitError):
        stage("calibrate").fit(problem, Relevance.from_lists([[0]], 2))
    assert kinds(seen)[-2:] == ["fit_started", "fit_failed"]
    figures = rerankit.evaluate(problem, relevance, "map")
    assert seen[-1].outcome is figures
    tuned = rerankit.tune("nnn", {"neighbours": [1, 2]}, problem, relevance)
    assert seen[-1].kind == "tuned"
    assert seen[-1].outcome is tuned
    validation = task("generic").write_miniature(tmp_path).load(tmp_path)
    record = tune_on_files("nnn", {"neighbours": [1, 2]}, validation, np.eye(6, 9), k=5)
    assert seen[-1].outcome is record


class Clock:
    """A clock that only moves when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_the_time_of_observers_is_not_that_of_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("rerankit.events.time", clock)

    class Slow:
        @hookimpl
        def rerankit_progress(self, event: Event) -> None:
            clock.now += 100
            emit("evaluated", "from inside")

        @hookimpl
        def rerankit_evaluated(self, event: Event) -> None:
            clock.now += 1000

    class Working(Stage):
        name = "working"

        def rescore(self, problem: Any, ranking: Any) -> Any:
            clock.now += 3
            emit("progress", "at work", completed=1, total=2)
            return ranking.scores

    plugins.reset()
    manager().register(Slow(), "slow")
    found = rerankit.rerank([[1, 2], [2, 1]], stage("nnn") >> Working())
    plugins.reset()
    assert found.notes["seconds"] == [0, 3]
    assert clock.now == 1103
