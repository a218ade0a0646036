"""Learning-rate schedules: a factor on the base rate as a function of the step."""

from __future__ import annotations

import math

from rerankit.training.settings import TrainingSettings

# The shape of a one-cycle run: where the peak lies, and the factors at its start and end.
_PEAK, _START, _END = 0.3, 1 / 25, 1e-4 / 25


def factor(settings: TrainingSettings, step: int, total: int, epoch: int = 0) -> float:
    """The factor for optimiser step `step` (from 0) of `total`, in `epoch` (from 0).

    A warm-up rises linearly over the first `warmup` steps; the schedule covers the steps after it.

    >>> cosine = TrainingSettings(schedule="cosine", warmup=2)
    >>> [round(factor(cosine, step, 6), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if settings.schedule == "step":
        return float(settings.gamma ** sum(epoch >= milestone for milestone in settings.milestones))
    if settings.schedule == "constant":
        return 1.0
    done = (step - settings.warmup) / max(1, total - settings.warmup)
    return _blend(1.0, 0.0, done) if settings.schedule == "cosine" else _one_cycle(done)


def _one_cycle(done: float) -> float:
    if done < _PEAK:
        return _blend(_START, 1.0, done / _PEAK)
    return _blend(1.0, _END, (done - _PEAK) / (1 - _PEAK))


def _blend(first: float, last: float, done: float) -> float:
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))
