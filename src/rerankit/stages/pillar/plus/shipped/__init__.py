"""Weights that ship with rerankit, each with a card: what trained them and on what, their figures, where they lose."""

from __future__ import annotations

from pathlib import Path

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.extras import require

__all__ = ["FOLDER", "card", "names", "shipped"]

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the weights that ship."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def shipped(name: str) -> dict[str, AnyArray]:
    """Weights by name.

    >>> sorted(shipped("captions"))[:2]
    ['asked', 'leads']
    """
    checks.choice("weights", name, names())
    numpy_files = require("safetensors.numpy", extra="pillar", purpose="reading the weights of 'pillar-plus'")
    found: dict[str, AnyArray] = numpy_files.load_file(FOLDER / f"{name}.safetensors")
    return found


def card(name: str) -> str:
    """What there is to know about weights, as Markdown."""
    checks.choice("weights", name, names())
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
