"""The neighbour graph of a query and its candidates: how many nearest items two nodes have in common."""

from __future__ import annotations

import torch
from torch import Tensor


def neighbour_graph(lists: tuple[Tensor, Tensor], threshold: float) -> Tensor:
    """Edge weights (queries, nodes, nodes) from every node's two lists of nearest items.

    `lists` are (queries, nodes, n) item numbers, −1 where a list is shorter: nearest items of the one side
    and of the other. Common neighbours of both kinds are counted, rows divided by their sum, entries up to
    `threshold` set to zero, rows divided again. An absent node (both lists empty) gets a row of zeros.

    >>> near = torch.tensor([[[0, 1], [1, 2], [3, 4]]])
    >>> neighbour_graph((near, near), threshold=0.0)[0].tolist()[1]
    [0.3333333432674408, 0.6666666865348816, 0.0]
    """
    weights = (overlaps(lists[0]) + overlaps(lists[1])).float()
    weights = _rows_divided(weights)
    # The bound in float32, like the weights: a weight equal to it is a fraction like 1/40, rounded once.
    bound = torch.tensor(threshold, dtype=torch.float32, device=weights.device)
    return _rows_divided(weights.masked_fill_(weights <= bound, 0.0))


def overlaps(lists: Tensor) -> Tensor:
    """Common items (queries, nodes, nodes) of all pairs of lists (queries, nodes, n); −1 is no item."""
    count = lists.shape[-1]
    left = lists.to(torch.int32)
    right = left.masked_fill(left < 0, -2)  # padding on one side never equals padding on the other
    places = [left[:, :, None, a] for a in range(count)], [right[:, None, :, b] for b in range(count)]
    # Comparing place a with place b gives the transpose of comparing b with a: half the comparisons do.
    shape = (*lists.shape[:2], lists.shape[1])
    above = torch.zeros(shape, dtype=torch.uint8, device=lists.device)
    same = torch.zeros_like(above)
    for a in range(count):
        same += places[0][a] == places[1][a]
        for b in range(a + 1, count):
            above += places[0][a] == places[1][b]
    return same + above + above.transpose(1, 2)


def _rows_divided(weights: Tensor) -> Tensor:
    sums = weights.sum(dim=-1, keepdim=True)
    return weights / sums.masked_fill(sums == 0, 1.0)
