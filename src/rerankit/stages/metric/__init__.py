"""A metric learned from labelled pairs, in closed form."""

__all__ = ["stage"]
