"""Place recognition: pictures that come in sequences, and pictures whose local features must fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rerankit import hookimpl

if TYPE_CHECKING:
    from rerankit_places.local import local_features

__all__ = ["local_features"]


@hookimpl
def rerankit_register_stages(register: Any) -> None:
    register("sequence", "rerankit_places.sequence:Sequence")
    register("geometric-check", "rerankit_places.geometric_check:GeometricCheck")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rerankit_places import local

    return getattr(local, name)
