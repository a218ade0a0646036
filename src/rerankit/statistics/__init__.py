"""Statistics of comparisons: intervals and tests by resampling queries, corrections, one table."""

from rerankit.statistics.compare import Cell, Comparison, Effect, compare, effect
from rerankit.statistics.resampling import bootstrap, holm, paired_bootstrap, randomisation, student_t

__all__ = [
    "Cell",
    "Comparison",
    "Effect",
    "bootstrap",
    "compare",
    "effect",
    "holm",
    "paired_bootstrap",
    "randomisation",
    "student_t",
]
