"""How much is tried: a sample in `make test`, all of it in `make test-hostile`.

`RERANKIT_HOSTILE=1` tries as much as a full run does, 0.1 a tenth of it; without it a sample is tried. What is drawn
depends on `RERANKIT_HOSTILE_SEED` alone. `RERANKIT_HOSTILE_REPORT=FILE` keeps what was tried, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this room share

SCALE = float(os.environ.get("RERANKIT_HOSTILE", "0"))
SEED = int(os.environ.get("RERANKIT_HOSTILE_SEED", "0"))
REPORT = os.environ.get("RERANKIT_HOSTILE_REPORT")
TRIED: dict[str, int] = {}


@pytest.fixture
def amount() -> Callable[[int, int], int]:
    """How often to try something: the size of the sample, and that of a full run."""
    return lambda sample, full: max(sample, round(SCALE * full)) if SCALE else sample


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Numbers for this test, the same for a seed."""
    return np.random.default_rng([SEED, zlib.crc32(request.node.nodeid.encode())])


@pytest.fixture
def tried() -> Callable[[str, int], None]:
    """Count what was tried, by area; what fails raises, so that everything counted went well.

    It is kept at once: of a run that is ended, too, one knows what it tried.
    """

    def count(area: str, number: int) -> None:
        TRIED[area] = TRIED.get(area, 0) + number
        if REPORT:
            path = Path(REPORT)
            known = json.loads(path.read_text()) if path.is_file() else {}
            path.write_text(json.dumps({**known, **TRIED}, indent=1))

    return count
