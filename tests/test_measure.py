from __future__ import annotations

import time

import numpy as np

from rerankit import measure


def test_repr():
    assert str(measure.Cost(1.5, 2_000_000)) == "1.5 s, 2 MB"


def test_time_and_memory_of_a_block():
    costs = []
    for _ in range(3):  # the system may take idle pages of the process back meanwhile: not each time
        with measure.measure() as cost:
            held = np.ones(8_000_000)  # 64 MB, written to
            time.sleep(0.02)
        assert held[0] == 1
        del held
        costs.append(cost)
    assert 50e6 < max(cost.peak_bytes for cost in costs) < 200e6
    assert min(cost.seconds for cost in costs) > 0.02


def test_sampling_where_the_system_cannot_forget(monkeypatch):
    monkeypatch.setattr(measure, "_reset_high_water", lambda: False)
    with measure.measure() as cost:
        held = np.ones(8_000_000)
        time.sleep(0.05)
    assert held[0] == 1
    assert cost.peak_bytes > 50e6


def test_the_machine_is_described():
    assert {"cpu", "cores", "python", "numpy"} <= measure.machine().keys()
    assert measure.matrix_speed(64, 1) > 0
