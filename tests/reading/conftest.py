from __future__ import annotations

import sys
from pathlib import Path

# The toy task must be importable by name in the processes that data-parallel training spawns.
sys.path.insert(0, str(Path(__file__).parent))
