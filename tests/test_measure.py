from __future__ import annotations

import subprocess
import sys

import pytest

from rerankit import measure


def test_repr():
    assert str(measure.Cost(1.5, 2_000_000)) == "1.5 s, 2 MB"


MEASURED = """
import time
import numpy as np
from rerankit import measure
if not {forgets}:
    measure._reset_high_water = lambda: False
with measure.measure() as cost:
    held = np.ones(25_000_000)  # 200 MB, written to
    time.sleep(0.05)
print(cost.seconds, cost.peak_bytes)
"""


@pytest.mark.parametrize("forgets", [True, False], ids=["high water", "samples"])
def test_time_and_memory_of_a_block(forgets):
    # In a process of its own, which holds little else: of one that holds much, the system may take idle pages back
    # meanwhile, and what it holds then hardly grows.
    found = subprocess.run(
        [sys.executable, "-c", MEASURED.format(forgets=forgets)], capture_output=True, text=True, check=True
    )
    seconds, peak = (float(number) for number in found.stdout.split())
    assert seconds > 0.05
    assert 120e6 < peak < 400e6


def test_the_machine_is_described():
    assert {"cpu", "cores", "python", "numpy"} <= measure.machine().keys()
