"""FAISS: candidates and neighbours by approximate search, how much it misses, and exact scores for what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rerankit import hookimpl

if TYPE_CHECKING:
    from rerankit_faiss.candidates import Approximate, approximate, missed

__all__ = ["Approximate", "approximate", "missed"]


@hookimpl
def rerankit_register_stages(register: Any) -> None:
    register("refine", "rerankit_faiss.refine:Refine")
    register("indexed", "rerankit_faiss.indexed:FaissIndexed")


@hookimpl
def rerankit_register_sources(register: Any) -> None:
    register("faiss", "rerankit_faiss.source:FaissSource")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rerankit_faiss import candidates as room  # which imports faiss

    return getattr(room, name)
