"""Metrics: pure functions of where the relevant items stand, and `evaluate`, which finds that out."""

from rerankit.metrics.average_precision import (
    average_precision,
    average_precision_all,
    average_precision_at_r,
    average_precision_trapezoid,
)
from rerankit.metrics.evaluating import DEFAULT_METRICS, BothWays, evaluate, evaluate_both
from rerankit.metrics.evaluation import Evaluation
from rerankit.metrics.gain import ndcg
from rerankit.metrics.hubness import Hubness, hubness
from rerankit.metrics.metric import Metric, Traits, traits
from rerankit.metrics.places import Places
from rerankit.metrics.pmrp import pmrp
from rerankit.metrics.rank import first_rank, mean_rank, median_rank
from rerankit.metrics.recall import neg_recall, precision, precision_found, r_precision, recall
from rerankit.metrics.reciprocal_rank import reciprocal_rank
from rerankit.metrics.registry import Measure, MetricAlias, measure, metrics_available, register_metric, traits_of
from rerankit.metrics.rsum import rsum
from rerankit.metrics.success import cmc, subset_success, success

__all__ = [
    "DEFAULT_METRICS",
    "BothWays",
    "Evaluation",
    "Hubness",
    "Measure",
    "Metric",
    "MetricAlias",
    "Places",
    "Traits",
    "average_precision",
    "average_precision_all",
    "average_precision_at_r",
    "average_precision_trapezoid",
    "cmc",
    "evaluate",
    "evaluate_both",
    "first_rank",
    "hubness",
    "mean_rank",
    "measure",
    "median_rank",
    "metrics_available",
    "ndcg",
    "neg_recall",
    "pmrp",
    "precision",
    "precision_found",
    "r_precision",
    "recall",
    "reciprocal_rank",
    "register_metric",
    "rsum",
    "subset_success",
    "success",
    "traits",
    "traits_of",
]
