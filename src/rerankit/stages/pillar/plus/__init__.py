"""pillar-plus: pillar reasoning over candidate cells, with one plan for both directions.

`cells` picks the cells (row, column) and gathers what their pillars say, `columns` turns that into
numbers, `plan` keeps the shared transport plan, `network` refines it in rounds, `earlier` and `log` keep what it made
of a log of earlier queries, `fitting` trains it on parts of a problem, `stage` is the re-ranker.
"""

__all__ = ["shipped", "stage"]
