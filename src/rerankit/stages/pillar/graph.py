"""The neighbour graph of a query and its candidates: how many nearest items two nodes have in common."""

from __future__ import annotations

import torch
from torch import Tensor

_CELLS = 2_500_000  # the largest table of zeros and ones: about what stays in the cache


def neighbour_graph(lists: tuple[Tensor, Tensor], threshold: float) -> Tensor:
    """Edge weights (queries, nodes, nodes) from every node's two lists of nearest items.

    `lists` are (queries, nodes, n) item numbers, −1 where a list is shorter: nearest items of the one side
    and of the other. Common neighbours of both kinds are counted, rows divided by their sum, entries up to
    `threshold` set to zero, rows divided again. An absent node (both lists empty) gets a row of zeros.

    >>> near = torch.tensor([[[0, 1], [1, 2], [3, 4]]])
    >>> neighbour_graph((near, near), threshold=0.0)[0].tolist()[1]
    [0.3333333432674408, 0.6666666865348816, 0.0]
    """
    # Items of the two sides get numbers of their own, so that one count serves both.
    shifted = torch.where(lists[1] < 0, -1, lists[1] + lists[0].max() + 1)
    weights = _rows_divided(overlaps(torch.cat([lists[0], shifted], dim=-1)))
    # The bound in float32, like the weights: a weight equal to it is a fraction like 1/40, rounded once.
    bound = torch.tensor(threshold, dtype=torch.float32, device=weights.device)
    return _rows_divided(weights.masked_fill_(weights <= bound, 0.0))


def overlaps(lists: Tensor) -> Tensor:
    """Common items (queries, nodes, nodes), as floats, of all pairs of lists (queries, nodes, n); −1 is no item.

    A query's items are numbered from 0, its lists written as rows of zeros and ones, and multiplied.

    >>> overlaps(torch.tensor([[[5, 9], [9, 7], [7, -1]]])).tolist()
    [[[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 1.0]]]
    """
    nodes, count = lists.shape[1:]
    return torch.cat([_overlaps(part) for part in lists.split(max(1, _CELLS // (nodes * nodes * count)))])  # type: ignore[no-untyped-call]


def _overlaps(lists: Tensor) -> Tensor:
    queries, nodes, count = lists.shape
    items, places = lists.reshape(queries, nodes * count).to(torch.int32).sort(dim=1)
    fresh = torch.zeros_like(places)
    fresh[:, 1:] = items[:, 1:] != items[:, :-1]
    numbers = torch.empty_like(places).scatter_(1, places, fresh.cumsum(dim=1)).reshape(lists.shape)
    member = torch.zeros(queries, nodes, nodes * count, device=lists.device)
    member.scatter_(2, numbers, (lists >= 0).float())
    # In mixed precision the product comes in 16 bits, which hold such counts exactly; what follows must not be.
    return (member @ member.transpose(1, 2)).float()


def _rows_divided(weights: Tensor) -> Tensor:
    sums = weights.sum(dim=-1, keepdim=True)
    return weights / sums.masked_fill(sums == 0, 1.0)
