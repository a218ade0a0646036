"""The golden numbers of both variants, and the plain form of the network as an oracle."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["it", "ti"])
def golden_case(request: pytest.FixtureRequest, golden: Path) -> dict[str, Any]:
    """Numbers and network of one variant."""
    from safetensors.torch import load_file

    from rerankit.stages.hmrn.checkpoint import import_checkpoint

    numbers = load_file(golden / f"hmrn_{request.param}.safetensors")
    network = import_checkpoint(golden / f"hmrn_{request.param}_checkpoint.pth.tar")
    return {"numbers": numbers, "network": network, "variant": {"it": "I-T", "ti": "T-I"}[request.param]}


@pytest.fixture(scope="session")
def cases() -> ModuleType:
    """The small random networks of the conformance cases."""
    spec = importlib.util.spec_from_file_location("hmrn_cases", Path(__file__).with_name("conformance_cases.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    """The definition, round after round and search after search; the benchmark's contender too."""
    place = REPOSITORY / "benchmarks" / "hmrn_naive.py"
    spec = importlib.util.spec_from_file_location("hmrn_naive", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hmrn_naive"] = module
    spec.loader.exec_module(module)
    return module
