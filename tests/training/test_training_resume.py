"""A killed run continues to the same weights; several processes give what one gives."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_run import SETTINGS, ToyTask, weights

from rerankit import Problem
from rerankit.errors import InputError, TrainingError
from rerankit.stopping import KEPT, STOPPING, Stopped
from rerankit.training import History, TrainingSettings, TrainingTask, train
from rerankit.training.processes import Processes

SCRIPT = Path(__file__).parent / "toy_run.py"


def run_script(folder: Path, kill_at: int) -> int:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, str(SCRIPT), str(folder), str(kill_at)], env=environment).returncode


@pytest.mark.slow
def test_killed_runs_end_with_the_same_weights(tmp_path):
    assert run_script(tmp_path / "whole", 0) == 0
    # Killed between two checkpoints, and again in the continued run.
    for kill_at in (10, 4):
        assert run_script(tmp_path / "killed", kill_at) == -signal.SIGKILL
    assert run_script(tmp_path / "killed", 0) == 0
    for name in ("weights.pt", "history.csv"):
        whole, killed = ((tmp_path / folder / name).read_bytes() for folder in ("whole", "killed"))
        assert whole == killed


@pytest.mark.parametrize("stop", range(1, 25, 5))
def test_stopping_anywhere_changes_nothing(tmp_path, stop):
    whole, stopped, continued = ToyTask(), ToyTask(), ToyTask()
    expected = train(whole, SETTINGS)

    def interrupted(batch, generator, loss=stopped.loss):
        if stopped.calls == stop:
            raise KeyboardInterrupt
        return loss(batch, generator)

    stopped.loss = interrupted
    with pytest.raises(KeyboardInterrupt):
        train(stopped, SETTINGS, tmp_path)
    found = train(continued, SETTINGS, tmp_path)
    assert found.rows == expected.rows
    assert torch.equal(weights(continued), weights(whole))


def test_what_a_kill_kept_from_being_written_beside_the_last_checkpoint_is_made_up_for(tmp_path):
    history = train(ToyTask(), SETTINGS, tmp_path)
    (tmp_path / "curves.png").unlink()
    (tmp_path / "history.csv").write_text("step\n")
    assert train(ToyTask(), SETTINGS, tmp_path).rows == history.rows
    assert (tmp_path / "curves.png").exists()
    assert History.from_csv(tmp_path / "history.csv").rows == history.rows


class PlainTask(TrainingTask):
    """A task of somebody else's: it says nothing of what it reads, and has all sorts of things."""

    def __init__(self, **changes):
        self.inputs, self.named = torch.eye(4), {"texts": ["a cat", "a dog"], "fit": functools.partial(max, 1)}
        self.problem = Problem(np.eye(4), query_features={"text": list("abcd")})
        self.frozen = torch.nn.Linear(4, 2).requires_grad_(False)
        torch.nn.init.constant_(self.frozen.weight, 0.5)
        torch.nn.init.zeros_(self.frozen.bias)
        self.model = torch.nn.Linear(2, 1)
        torch.nn.init.ones_(self.model.weight)
        torch.nn.init.zeros_(self.model.bias)
        self.length = 4
        vars(self).update(changes)

    def loss(self, batch, generator):
        return {"size": self.model(self.frozen(self.inputs[batch])).square().mean()}


def other(layer):
    torch.nn.init.constant_(layer.weight, 0.25)
    return layer


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"inputs": torch.eye(4).roll(1)}, "other inputs"),
        ({"named": {"texts": ["a cat", "a dig"], "fit": functools.partial(max, 1)}}, "other named: texts"),
        ({"named": {"texts": ["a cat", "a dog"], "fit": functools.partial(max, 2)}}, "other named: fit"),
        ({"problem": Problem(np.eye(4), query_features={"text": list("abcx")})}, "other problem: query/text"),
        ({"problem": Problem(np.eye(4)[::-1], query_features={"text": list("abcd")})}, "other problem: scores"),
        ({"frozen": other(torch.nn.Linear(4, 2, bias=True))}, "other frozen"),
        ({"model": other(torch.nn.Linear(2, 1))}, "other weights to begin with"),
        ({"more": 1}, "other more"),
    ],
)
def test_a_run_goes_on_only_with_all_that_its_task_has(tmp_path, change, named):
    settings = TrainingSettings(1, 2, device="cpu")
    begun = train(PlainTask(), settings, tmp_path)
    assert train(PlainTask(), settings, tmp_path).rows == begun.rows
    with pytest.raises(InputError, match=rf"belongs to another run \({named}"):
        train(PlainTask(**change), settings, tmp_path)


def test_a_run_goes_on_only_with_the_code_it_was_begun_with(tmp_path, monkeypatch):
    settings = TrainingSettings(1, 2, device="cpu")
    train(PlainTask(), settings, tmp_path)
    monkeypatch.setattr("rerankit.plugins.code.__version__", "0.2")
    with pytest.raises(InputError, match=r"\(other version of the code: rerankit\)"):
        train(PlainTask(), settings, tmp_path)


def test_what_cannot_be_told_apart_is_refused_before_anything_is_written(tmp_path):
    task = PlainTask(lock=threading.Lock())
    with pytest.raises(InputError, match=r"a _thread\.lock cannot be told from another one"):
        train(task, TrainingSettings(1, 2, device="cpu"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    task.reads = {"inputs": task.inputs}
    train(task, TrainingSettings(1, 2, device="cpu"), tmp_path / "run")


def test_a_checkpoint_that_does_not_say_what_it_was_trained_on_is_refused(tmp_path):
    train(ToyTask(), SETTINGS, tmp_path)
    payload = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del payload["reads"]
    torch.save(payload, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="it does not say what it was trained on"):
        train(ToyTask(), SETTINGS, tmp_path)
    train(ToyTask(), SETTINGS, tmp_path, resume=False)


def test_leftovers_of_a_killed_write_are_removed(tmp_path):
    (tmp_path / ".rerankit-x").mkdir()
    train(ToyTask(), SETTINGS, tmp_path)
    assert not (tmp_path / ".rerankit-x").exists()


def test_two_processes_equal_one(tmp_path):
    # Without noise and dropout the only difference is the order of additions; 22 = 5 × 4 + 2 is uneven.
    one, two = ToyTask(noise=0.0, dropout=0.0), ToyTask(noise=0.0, dropout=0.0)
    settings = replace(SETTINGS, batch_size=3)
    first = train(one, settings)
    handlers = [signal.getsignal(number) for number in KEPT]
    second = train(two, replace(settings, devices=2), tmp_path)
    assert [signal.getsignal(number) for number in KEPT] == handlers  # a signal ends the program as before
    assert [row["step"] for row in first.rows] == [row["step"] for row in second.rows]
    assert first.last("loss") == pytest.approx(second.last("loss"), rel=1e-4)
    torch.testing.assert_close(weights(one), weights(two), atol=1e-5, rtol=1e-4)
    assert (tmp_path / "history.csv").exists()


@pytest.mark.slow
def test_nan_in_two_processes_is_the_same_error():
    task = ToyTask()
    task.nan_at = 7
    with pytest.raises(TrainingError, match=r"step 7: the loss \(square = nan\)"):
        train(task, replace(SETTINGS, devices=2))
    assert weights(task).isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_all_processes(number):
    task = ToyTask()
    task.stop_parent, task.stop_at = number, 3
    with pytest.raises(Stopped, match="interrupted" if number == signal.SIGINT else signal.Signals(number).name):
        train(task, replace(SETTINGS, epochs=10**6, devices=2))
    assert multiprocessing.active_children() == []


def test_shares_add_up_to_the_batch():
    batch = torch.arange(3)
    crowd = [Processes() for _ in range(4)]
    for rank, process in enumerate(crowd):
        process.rank, process.world = rank, 4
    parts = [process.share(batch) for process in crowd]
    assert [len(part) for part in parts] == [1, 1, 1, 1]  # the fourth repeats the first and weighs nothing
    mean = sum(p.weight(batch) * part.float().mean() for p, part in zip(crowd, parts, strict=True)) / 4
    assert float(mean) == 1.0


def test_two_processes_do_not_train_into_one_folder(tmp_path):
    from rerankit.files import lock_folder

    other = lock_folder(tmp_path)
    with pytest.raises(InputError, match="is being trained into by another process"):
        train(ToyTask(), SETTINGS, tmp_path)
    other.release()
    train(ToyTask(), SETTINGS, tmp_path)


@pytest.mark.parametrize("resume", [True, False])
def test_somebody_elses_checkpoint_stays(tmp_path, resume):
    torch.save({"model": torch.ones(3)}, tmp_path / "checkpoint.pt")
    before = (tmp_path / "checkpoint.pt").read_bytes()
    for devices in (1, 2):
        with pytest.raises(InputError, match="is not a training checkpoint of format 1, and stays"):
            train(ToyTask(), replace(SETTINGS, devices=devices), tmp_path, resume=resume)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("name", ["history.csv", "curves.png"])
def test_somebody_elses_files_stay(tmp_path, name):
    (tmp_path / name).write_text("mine")
    for devices in (1, 2):
        with pytest.raises(InputError, match=f"{name}' is there without a checkpoint beside it, and stays"):
            train(ToyTask(), replace(SETTINGS, devices=devices), tmp_path, resume=False)
    assert (tmp_path / name).read_text() == "mine"
