"""Weights that ship with the demo: one file for each network, with a card that says how they were made and measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

import rerankit
from rerankit import checks
from rerankit.arrays import AnyArray

__all__ = ["names", "read", "weights", "write"]

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the weights that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def weights(name: str) -> dict[str, AnyArray]:
    """Weights by name.

    >>> sorted(weights("multi-query"))[-3:]
    ['words/centre', 'words/matrix', 'words/usual']
    """
    checks.choice("weights", name, names())
    return read(FOLDER / f"{name}.safetensors")


def read(path: Path) -> dict[str, AnyArray]:
    """Weights of a file that `write` made, widened to single precision."""
    found = rerankit.read(path)
    return {key: array.astype(np.float32) if array.dtype == np.float16 else array for key, array in found.items()}


def write(path: Path, arrays: Mapping[str, AnyArray]) -> Path:
    """Write weights in half precision, which is half the size."""
    half = {key: array.astype(np.float16) if array.dtype.kind == "f" else array for key, array in arrays.items()}
    rerankit.write(path, half, overwrite=True)
    return path


def card(name: str) -> str:
    """What there is to know about weights, as Markdown."""
    checks.choice("weights", name, names())
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
