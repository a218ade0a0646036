"""Made-up datasets with content, in the layouts of real ones, for training and demonstration."""

__all__ = ["composed", "drilldown"]
