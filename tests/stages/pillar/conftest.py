from __future__ import annotations

import sys
from pathlib import Path

# The naive form that the benchmark measures is the oracle of these tests.
sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks"))  # last: it has an engines.py, too
