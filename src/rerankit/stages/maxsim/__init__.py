"""Late interaction: queries and items as several vectors each, compared token by token."""

__all__ = ["stage"]
