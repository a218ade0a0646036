"""A prepared gallery behind HTTP: `rerankit serve`. Needs the extra `serve`."""

from __future__ import annotations

from rerankit.serving.bounds import Bounds

__all__ = ["Bounds"]
