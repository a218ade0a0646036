from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import rerankit
from rerankit import Stage, bars, plugins
from rerankit.bars import Bars, aside, progress
from rerankit.events import emit, track


class Display:
    """Bars as a dictionary: what is on the screen, and all that ever was."""

    def __init__(self) -> None:
        self.shown: dict[int, dict[str, Any]] = {}
        self.ever: list[str] = []
        self.log: list[str] = []

    def add_task(self, description: str, **rest: Any) -> int:
        self.ever.append(description)
        self.shown[len(self.ever)] = {"description": description, **rest}
        return len(self.ever)

    def update(self, task: int, **rest: Any) -> None:
        self.shown[task].update(rest)

    def remove_task(self, task: int) -> None:
        del self.shown[task]

    def start(self) -> None:
        self.log.append("start")

    def stop(self) -> None:
        self.log.append("stop")

    @property
    def names(self) -> list[str]:
        return [row["description"] for row in self.shown.values()]


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    made = Display()
    monkeypatch.setattr(bars, "_drawn", [made])
    plugins.manager().register(Bars(made), "bars of a test")
    yield made
    plugins.manager().unregister("bars of a test")


def test_work_has_a_bar_until_its_end(display: Display) -> None:
    seen = []
    for _ in track(range(3), "work [a, b]"):
        seen.append([(row["description"], row.get("completed"), row["count"]) for row in display.shown.values()])
    assert seen == [[("work \\[a, b]", n, f"{n}/3")] for n in range(3)]
    assert display.shown == {}


def test_short_work_inside_other_work_does_not_flicker(display: Display, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1000, 0.01))
    monkeypatch.setattr("rerankit.bars.time.monotonic", lambda: next(clock))
    for _ in track(range(2), "outer"):
        list(track(range(3), "short"))
    assert display.ever == ["outer"]
    for _ in track(range(1), "outer"):
        list(track(range(200), "long"))
    assert display.ever == ["outer", "outer", "long"]


def test_training_is_one_bar_with_a_note(display: Display) -> None:
    for step, note in enumerate(["", "r1 0.5 (best 0.5)", "r1 0.4 (best 0.5)"]):
        emit("progress", "training", completed=step, total=3, note=note)
        list(track(range(2), "ranks among the queries"))  # what validation does
        assert display.names == ["training"]
        assert next(iter(display.shown.values()))["note"] == note
        assert next(iter(display.shown.values()))["completed"] == step
    assert display.ever == ["training"]


class Halting(Stage):
    """Leaves a loop before its end."""

    name = "halting"

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        for _ in track(range(5), "left unfinished"):
            break
        if problem.shape[0] > 1:
            raise ValueError("stopped")
        return ranking.scores


def test_what_a_stage_leaves_unfinished_goes_and_what_was_there_before_stays(display: Display) -> None:
    pipeline = rerankit.Pipeline([Halting(), rerankit.stage("mutual-rank", lone="pass")])
    for _ in track(range(2), "outer"):
        rerankit.rerank([[0.1, 0.9]], pipeline)
        assert display.names == ["outer"]
        with pytest.raises(rerankit.errors.StageError):
            rerankit.rerank([[0.1, 0.9], [0.1, 0.9]], pipeline)
        assert display.names == ["outer"]
    assert display.shown == {}
    assert "1/2 stage('halting')" in display.ever


def test_bars_make_room_for_what_is_printed(display: Display) -> None:
    with aside():
        assert display.log == ["stop"]
    assert display.log == ["stop", "start"]


class Slow(Stage):
    """Takes longer than a screen needs to be drawn anew."""

    name = "slow"

    def rescore(self, problem, ranking):  # type: ignore[no-untyped-def]
        time.sleep(0.3)
        return ranking.scores


def test_bars_are_drawn_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=screen, force_terminal=True, width=60))
    rerankit.rerank([[0.1, 0.9]], Slow())
    assert screen.getvalue() == ""
    rerankit.rerank([[0.1, 0.9]], Slow(), progress=True)
    assert "stage('slow')" in screen.getvalue()
    with progress(), progress():  # the inner one finds the bars of the outer one
        rerankit.rerank([[0.1, 0.9]], Slow(), progress=True)
    assert bars.NAME not in plugins.manager().plugins
    assert bars._drawn == []
