"""The harness: run pipelines on tasks, keep results, compare them."""

from rerankit.bench.compare import compare_results
from rerankit.bench.inputs import Contender, ScoreSet, contender, score_set
from rerankit.bench.result import PartRow, Result, StageRow
from rerankit.bench.rows import rows, table, text_rows
from rerankit.bench.run import bench
from rerankit.bench.space import spaces
from rerankit.bench.tune import TuningResult, tune

__all__ = [
    "Contender",
    "PartRow",
    "Result",
    "ScoreSet",
    "StageRow",
    "TuningResult",
    "bench",
    "compare_results",
    "contender",
    "rows",
    "score_set",
    "spaces",
    "table",
    "text_rows",
    "tune",
]
