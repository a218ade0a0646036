"""The charts of a report, one file for each."""

from rerankit.reports.charts.batch_sizes import batch_sizes
from rerankit.reports.charts.chart import Chart
from rerankit.reports.charts.hubs import hubs
from rerankit.reports.charts.waterfall import waterfalls

__all__ = ["Chart", "batch_sizes", "hubs", "waterfalls"]
