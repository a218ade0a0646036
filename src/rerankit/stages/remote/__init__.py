"""Pairs scored by a service."""

__all__ = ["stage"]
