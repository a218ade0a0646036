from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_run import SETTINGS, ToyTask, weights

from rerankit import Problem, Relevance, stage
from rerankit.errors import FormatError, InputError, TrainingError, UnknownNameError
from rerankit.events import Event
from rerankit.training import History, TrainingSettings, train
from rerankit.training.devices import pick


def test_training_learns_and_keeps_the_best():
    task = ToyTask(noise=0.0, dropout=0.0)
    before = task.validate()["fit"]
    history = train(task, replace(SETTINGS, epochs=30))
    values = [row["validation/fit"] for row in history.rows]
    assert values[-1] > before / 10
    assert task.validate()["fit"] == pytest.approx(max(values), abs=1e-6)
    assert history.rows[values.index(max(values))]["step"] == history.best_step
    assert not task.model.training


def test_the_same_seed_gives_the_same_weights_whatever_torch_did_before():
    first, second, other = ToyTask(), ToyTask(), ToyTask()
    train(first, SETTINGS)
    torch.manual_seed(99)
    drawn = torch.rand(1)
    torch.manual_seed(99)
    train(second, SETTINGS)
    assert torch.equal(torch.rand(1), drawn)
    train(other, replace(SETTINGS, seed=1))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))


def test_accumulation_equals_one_large_batch():
    # 22 examples in groups of 8: the last group is smaller and split unevenly.
    large, small = ToyTask(noise=0.0, dropout=0.0), ToyTask(noise=0.0, dropout=0.0)
    one = train(large, replace(SETTINGS, batch_size=8))
    two = train(small, replace(SETTINGS, batch_size=4, accumulate=2))
    assert [row["step"] for row in one.rows] == [row["step"] for row in two.rows]
    assert one.rows[-1]["loss"] == pytest.approx(two.rows[-1]["loss"], rel=1e-4)
    torch.testing.assert_close(weights(large), weights(small))


def test_clipping_bounds_the_step():
    task = ToyTask()
    before = weights(task)
    plain = TrainingSettings(1, 22, 1.0, "sgd", momentum=0.0, schedule="constant", clip_norm=0.01, device="cpu")
    train(task, plain)
    assert float((weights(task) - before).norm()) == pytest.approx(0.01, rel=1e-3)


def test_early_stopping_counts_validations():
    task = ToyTask()
    task.validate = lambda: {"fit": 0.0}  # never better than the first
    history = train(task, replace(SETTINGS, epochs=50, validate_every=1, patience=3))
    assert len(history.rows) == 4
    assert history.best_step == 1
    assert history.stopped == "no better fit in 3 validations"


def test_frozen_parameters_stay_and_are_not_saved(tmp_path):
    task = ToyTask()
    task.model[0].requires_grad_(False)
    before = task.model[0].weight.clone()
    train(task, SETTINGS, tmp_path)
    assert torch.equal(task.model[0].weight, before)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert list(saved["weights"]) == ["2.weight", "2.bias"]


def test_without_validation_the_last_weights_stay():
    task = ToyTask()
    task.validate = dict
    history = train(task, replace(SETTINGS, validate_every=None))
    assert history.best_step is None
    assert [row["epoch"] for row in history.rows] == [1, 2, 3, 4]


@pytest.mark.parametrize("out", [True, False])
def test_nan_stops_with_the_step_and_keeps_the_best(tmp_path, out):
    task, good = ToyTask(), ToyTask()
    task.nan_at = 12
    folder = tmp_path if out else None
    with pytest.raises(TrainingError, match=r"step 12: the loss \(square = nan\).*step \d+, are kept"):
        train(task, SETTINGS, folder)
    rows = History.from_csv(tmp_path / "history.csv").rows if out else []
    assert [row["step"] for row in rows] == ([5, 10] if out else [])
    good.kill_at = 0
    good.nan_at = 11  # both stop after the validation of step 10: the same weights are kept
    with pytest.raises(TrainingError):
        train(good, SETTINGS)
    assert torch.equal(weights(task), weights(good))
    assert weights(task).isfinite().all()


def test_without_validation_weights_that_are_not_finite_are_never_what_is_kept():
    task = ToyTask()
    before, loss = weights(task), task.loss
    task.validate = dict

    def spoilt(batch, generator):
        if task.calls == 2:  # the step before has gone wrong without a sign in its loss
            task.model[2].bias.data.fill_(float("inf"))
        return loss(batch, generator)

    task.loss = spoilt
    with pytest.raises(TrainingError, match=r"step 3: the loss .* is not finite; the weights of step 0 are kept"):
        train(task, SETTINGS)
    assert torch.equal(weights(task), before)


def test_a_validation_figure_that_is_nan_names_its_step():
    task = ToyTask()
    task.validate = lambda: {"fit": float("nan")}
    with pytest.raises(TrainingError, match="step 5: the validation figure fit is not finite; the weights of step 5"):
        train(task, SETTINGS)


def test_an_infinite_gradient_stops_before_it_spoils_the_weights():
    task = ToyTask()
    before = weights(task)
    task.loss = lambda batch, generator: {"root": (task.model[2].bias * 0).abs().sqrt().sum()}
    with pytest.raises(TrainingError, match="step 1: the gradient is not finite; the weights of step 0"):
        train(task, SETTINGS)
    assert torch.equal(weights(task), before)


def test_half_precision_trains_close_to_float32():
    full, half = ToyTask(dropout=0.0), ToyTask(dropout=0.0)
    train(full, SETTINGS)
    train(half, replace(SETTINGS, precision="bf16"))
    torch.testing.assert_close(weights(full), weights(half), atol=0.05, rtol=0.05)
    assert half.model[0].weight.dtype == torch.float32


def test_small_half_precision_needs_cuda():
    with pytest.raises(InputError, match="fp16 needs a CUDA device, not cpu"):
        train(ToyTask(), replace(SETTINGS, precision="fp16"))


def test_devices_by_name():
    assert pick("cpu").type == "cpu"
    with pytest.raises(InputError, match="'device' must be auto, cpu, cuda or cuda:N"):
        pick("gpu")
    with pytest.raises(InputError, match="'device' must be present"):
        pick("cuda:77")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_cuda(precision, tmp_path):
    task = ToyTask()
    task.inputs, task.targets = task.inputs.cuda(), task.targets.cuda()
    task.noise = 0.0
    task.loss = lambda batch, generator: {
        "square": (task.model(task.inputs[batch]).squeeze(1) - task.targets[batch]).square().mean()
    }
    before = task.targets.square().mean()
    history = train(task, replace(SETTINGS, epochs=30, device="cuda", precision=precision), tmp_path)
    assert -history.last("validation/fit") < before / 2


def test_nothing_to_train_is_refused():
    task = ToyTask()
    task.model.requires_grad_(False)
    with pytest.raises(InputError, match="'task' must have parameters to train"):
        train(task, SETTINGS)
    with pytest.raises(InputError, match="'task' must have at least one example"):
        train(ToyTask(length=0), SETTINGS)


def test_another_run_is_not_continued(tmp_path):
    train(ToyTask(), SETTINGS, tmp_path)
    with pytest.raises(InputError, match=r"learning_rate 0.02 there, 0.5 here.*resume=False"):
        train(ToyTask(), replace(SETTINGS, learning_rate=0.5), tmp_path)
    with pytest.raises(InputError, match="other inputs; other targets; other length"):
        train(ToyTask(length=9), SETTINGS, tmp_path)
    train(ToyTask(), replace(SETTINGS, learning_rate=0.5), tmp_path, resume=False)


def test_a_broken_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(FormatError, match=r"checkpoint\.pt: not a checkpoint of tensors .*; remove it to begin again"):
        train(ToyTask(), SETTINGS, tmp_path)


def test_files_of_a_run(tmp_path):
    history = train(ToyTask(), SETTINGS, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "curves.png", "history.csv"]
    again = History.from_csv(tmp_path / "history.csv")
    assert again.columns == [
        *("step", "epoch", "learning_rate", "loss", "loss/square", "loss/size"),
        *("validation/fit", "validation/other"),
    ]
    assert again.rows == history.rows
    assert train(ToyTask(), SETTINGS, tmp_path).rows == history.rows  # finished: read, not repeated


def test_progress_shows_the_validation_figure(monkeypatch):
    events = []
    monkeypatch.setattr(
        "rerankit.training.reporter.emit", lambda *named, **fields: events.append(Event(*named, **fields))
    )
    history = train(ToyTask(), SETTINGS)
    figures = [row["validation/fit"] for row in history.rows]
    assert {event.description for event in events} == {"training"}  # one bar from the beginning to the end
    assert events[0].note == ""
    assert [note for note in dict.fromkeys(event.note for event in events) if note] == list(
        dict.fromkeys(f"fit {value:.4g} (best {max(figures[: at + 1]):.4g})" for at, value in enumerate(figures))
    )
    assert [event.completed for event in events if event.completed < 24] == list(range(1, 24))
    assert events[-1].completed == 24


def test_a_history_shows_itself_in_a_line():
    history = train(ToyTask(), SETTINGS)
    best = history.rows[[row["step"] for row in history.rows].index(history.best_step)]
    assert repr(history) == (
        f"History({len(history.rows)} rows to step 24; best at step {history.best_step}: "
        f"fit {best['validation/fit']:.4g}; all epochs done)"
    )
    assert repr(History()) == "History(no rows)"


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown training setting 'epoch'; did you mean 'epochs'"):
        SETTINGS.changed(epoch=3)
    assert SETTINGS.changed(seed=5).seed == 5


def test_a_stage_that_could_not_answer_here_is_not_trained(monkeypatch):
    monkeypatch.setattr("rerankit.training.starting.train", lambda *_, **__: pytest.fail("it was trained"))
    given = Problem(np.eye(9), query_scores=np.eye(9), gallery_scores=np.eye(9)), Relevance.from_dense(np.eye(9))
    for name in ("pillar-small", "pillar-plus"):
        with pytest.raises(InputError, match=r"'device' must be auto, cpu, cuda or cuda:N \(got qpu\)"):
            stage(name, device="qpu").fit(*given)
