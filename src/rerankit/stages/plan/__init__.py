"""Other queries that have found their items, and have a say in where a new one looks."""

__all__ = ["stage"]
