"""The charts of a report, one file for each."""

from rerankit.reports.charts.batch_sizes import batch_sizes
from rerankit.reports.charts.before_after import before_after
from rerankit.reports.charts.chart import Chart
from rerankit.reports.charts.cost import cost
from rerankit.reports.charts.differences import differences
from rerankit.reports.charts.hubs import hubs
from rerankit.reports.charts.waterfall import waterfalls

__all__ = ["Chart", "batch_sizes", "before_after", "cost", "differences", "hubs", "waterfalls"]
