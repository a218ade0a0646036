"""Corrections of items by what other queries claim of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.stages.hubness.claims import Claims
from rerankit.stages.hubness.partners import Partners

GENTLE = 0.5  # of the sharpness, where places may stay empty
_FULL = 0.995  # the highest share of all places that is taken for given at the beginning


def against_claims(claims: Claims, floor: float) -> AnyArray:
    """−log(claims + floor), (items,): the inverted softmax with a share for no query.

    `floor` is the share of a vote for each item that no query asks for; where there are fewer queries than items, it
    grows as they do: few queries say little of an item.
    """
    rows, columns = claims.shape
    shift: AnyArray = -np.log(claims.of() + floor * max(1.0, columns / rows))
    return shift


def balanced(claims_at: Callable[[float], Claims], rounds: int, partners: Partners) -> AnyArray:
    """The shift (items,) under which the queries that are answered find their places.

    `claims_at` gives the claims at a share of the full sharpness. As far as each item has a query of its own, all items
    take in the same; otherwise places may stay empty, and are given out at less than half of the sharpness: where
    it is not known that an item has one query only, the second one is not to be driven away from afar. An item to which
    several queries belong has room for two, and for twice its share of the queries as far as nearly all of them are
    sure of their item: how many come to an item is then what is asked, and seldom the same for all. Places count as far
    as items are asked for evenly: of a popular item many queries are right.
    """
    sure = partners.each_item
    shift: AnyArray = np.zeros(1)
    if sure < 1:
        share = GENTLE + (1 - GENTLE) * partners.several_queries * partners.evenly
        claims = claims_at(share)
        queries, items = claims.shape
        room = (1 + partners.several_queries) * max(1.0, queries / items) ** partners.certain**2
        of_places = placed(claims, rounds, same_queries=True, room=room)
        shift = (1 - sure) * partners.evenly / share * of_places
    if sure > 0:
        shift = shift + sure * equal_shares(claims_at(1.0), rounds)
    return shift


def placed(claims: Claims, rounds: int, *, same_queries: bool, room: float = 1.0) -> AnyArray:
    """The shift (items,) under which every query gives out one vote and no item takes in more than its places hold.

    An item has `room` places, or as many times more as there are items for each query where queries are fewer; places
    may stay empty. With as many queries as items and `rounds` enough this is Sinkhorn's balance. With few queries
    nearly all places stay empty, and the shift vanishes: it takes from a query only what others claim.

    `same_queries`: whether the claims are those of the queries that are answered. Then all votes find their place,
    and the beginning is near to where the rounds would lead.
    """
    rows, columns = claims.shape
    capacity = room * max(1.0, columns / rows)
    load = rows / columns / capacity
    start = 1 / (1 - min(load, _FULL)) if same_queries else 1.0
    shift = np.zeros(columns)
    for _ in range(rounds):
        received = claims.of(shift) * np.exp(-shift) * start
        shift, start = -np.log1p(received / capacity), 1.0
    return shift


def equal_shares(claims: Claims, rounds: int) -> AnyArray:
    """Sinkhorn's shift (items,): every query gives out one vote and every item takes in the same."""
    rows, columns = claims.shape
    shift = np.zeros(columns)
    for _ in range(rounds):
        # In logarithms: what an item adds may be far beyond what a power holds.
        shift = shift + np.log(rows / columns) - np.log(np.maximum(claims.of(shift), 1e-300))
    return shift
