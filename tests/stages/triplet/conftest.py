"""The tiny published networks with their inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from rerankit.stages.triplet.config import TripletConfig  # noqa: E402 - after the skips

GOLDEN_SIZES = TripletConfig(
    vocabulary=70,
    hidden=32,
    layers=8,
    heads=4,
    intermediate=64,
    positions=40,
    width=24,
    projection=16,
    vision_heads=4,
)


@pytest.fixture
def sizes() -> TripletConfig:
    return GOLDEN_SIZES


@pytest.fixture
def cir(golden: Path) -> SimpleNamespace:
    """Golden tensors and both networks with the golden weights."""
    from safetensors.torch import load_file

    from rerankit.stages.triplet.checkpoint import load_dual, load_filter

    return SimpleNamespace(
        **load_file(golden / "cir.safetensors"),
        filter=load_filter(golden / "cir_stage1.pt", heads=4).eval(),
        dual=load_dual(golden / "cir_stage2.pt", heads=4).eval(),
    )
