"""Stages against hubs: items that come up for everybody."""

__all__ = [
    "csls",
    "dual_is",
    "dual_softmax",
    "inverted_softmax",
    "mutual_neighbours",
    "mutual_rank",
    "nnn",
    "qb_norm",
    "sinkhorn",
]
