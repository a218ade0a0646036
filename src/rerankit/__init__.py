"""rerankit: re-rank any backbone's similarity matrices."""

from rerankit._version import __version__

__all__ = ["__version__"]
