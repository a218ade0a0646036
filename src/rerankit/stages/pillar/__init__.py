"""The pillar reasoner: a query and its candidates seen through their similarities to the query's nearest items.

`stage` is the re-ranker; `relations` and `representation` make what the networks in `network` read, `graph` what
steers their attention; `loss` and `fitting` train them, `checkpoint` reads and writes the published files.
"""

__all__ = ["plus", "published", "small", "stage"]
