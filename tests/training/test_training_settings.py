from __future__ import annotations

import subprocess
import sys

import pytest

from rerankit.errors import InputError
from rerankit.training import TrainingSettings
from rerankit.training.schedule import factor


def test_repr_reads_like_code():
    assert eval(repr(TrainingSettings(epochs=2))) == TrainingSettings(epochs=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", 2.5),
        ("accumulate", 0),
        ("devices", True),
        ("patience", 0),
        ("warmup", -1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("clip_norm", -1.0),
        ("optimizer", "lion"),
        ("schedule", "cosin"),
        ("precision", "int8"),
        ("milestones", (0,)),
    ],
)
def test_bad_values_are_named(name, value):
    with pytest.raises(InputError, match=f"'{name}' must be|unknown {name} '"):
        TrainingSettings(**{name: value})


def test_settings_need_no_torch():
    code = "import sys, rerankit.training as t; t.TrainingSettings(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_step_schedule_counts_epochs():
    settings = TrainingSettings(schedule="step", milestones=(2, 3), gamma=0.5)
    assert [factor(settings, 10, 40, epoch) for epoch in range(5)] == [1.0, 1.0, 0.5, 0.25, 0.25]


def test_one_cycle_rises_then_falls_to_nearly_nothing():
    rates = [factor(TrainingSettings(schedule="one-cycle"), step, 100) for step in range(100)]
    peak = rates.index(max(rates))
    assert peak == 30
    assert rates[0] == pytest.approx(0.04)
    assert rates[-1] < 1e-2
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_constant_after_warmup():
    settings = TrainingSettings(schedule="constant", warmup=4)
    assert [factor(settings, step, 9) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
