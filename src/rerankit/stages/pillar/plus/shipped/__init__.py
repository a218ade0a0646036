"""Weights that ship with rerankit, each with a card: what trained them and on what, their figures, where they lose."""

from __future__ import annotations

from pathlib import Path

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.reading.safetensors_file import read_tensors

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
    return read_tensors(FOLDER / f"{name}.safetensors")


def card(name: str) -> str:
    """What there is to know about weights, as Markdown."""
    checks.choice("weights", name, names())
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")
