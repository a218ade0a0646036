"""Results as one page that a browser opens, and queries as pictures: everything to look at."""

from rerankit.reports.results import Report, read_results, report
from rerankit.reports.showing import Sheet, show

__all__ = ["Report", "Sheet", "read_results", "report", "show"]
