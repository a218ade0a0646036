"""Results as one page that a browser opens, and queries as pictures: everything to look at."""

from rerankit.reports.charts.chart import Canvas, Chart, chart
from rerankit.reports.results import Report, read_results, report
from rerankit.reports.showing import Sheet, show
from rerankit.reports.views import System, View

__all__ = ["Canvas", "Chart", "Report", "Sheet", "System", "View", "chart", "read_results", "report", "show"]
