"""Statistics of comparisons: intervals and tests by resampling queries, corrections, one table."""

from rerankit.statistics.compare import Cell, Comparison, Effect, compare, effect
from rerankit.statistics.resampling import bootstrap, holm, improvements, paired_bootstrap, randomisation, student_t
from rerankit.statistics.wide import Wide, wide

__all__ = [
    "Cell",
    "Comparison",
    "Effect",
    "Wide",
    "bootstrap",
    "compare",
    "effect",
    "holm",
    "improvements",
    "paired_bootstrap",
    "randomisation",
    "student_t",
    "wide",
]
