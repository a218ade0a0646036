"""Results as one page that a browser opens, and queries as pictures: everything to look at."""

from rerankit.reports.results import Report, read_results, report

__all__ = ["Report", "read_results", "report"]
