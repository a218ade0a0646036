"""Earlier queries to the same gallery: what their plan has settled, and the cells of a new query among theirs.

Queries are the columns here, items the rows. The earlier queries' plan is made once, with the network; a new query
takes from it what was settled in every round, of the earlier queries nearest to it and of those that each item was
given to, and changes nothing of it. So every query's answer is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import AnyArray, IntArray
from rerankit.bank import Bank
from rerankit.problem import Problem
from rerankit.scores import Scores
from rerankit.stages.pillar.plus.cells import (
    SPREADS,
    CellGraph,
    Picked,
    Seen,
    Summary,
    described,
    find,
    fixed_columns,
    keys_of,
    likely_of,
    seen_in,
)
from rerankit.stages.pillar.plus.near import Near, padded
from rerankit.stages.pillar.plus.network import BALANCING, AmongThemselves, PlusNetwork
from rerankit.stages.pillar.plus.plan import CellShares, log_share, log_total, over_columns, over_rows, places
from rerankit.stages.pillar.plus.scale import Scale
from rerankit.stages.pillar.plus.settings import PlusSettings

_TENSORS = ("asked", "keys", "tops", "of_items", "least", "likely")
_NEAR = ("similarities", "ids", "top", "factors")


class Settled(NamedTuple):
    """One round of the earlier queries' plan: shares (cells,) of rows and of columns, the log of Σ plan of each row
    (rows,), and the same in every step of the balance after the round (steps, rows).
    """

    p: Tensor
    q: Tensor
    totals: Tensor
    steps: Tensor


class Watched(AmongThemselves):
    """A balance that keeps what was settled in every round."""

    def __init__(self, cells: CellGraph) -> None:
        super().__init__(cells)
        self.rounds: list[Settled] = []

    def shares(self, plan: Tensor) -> CellShares:
        found = super().shares(plan)
        self.rounds.append(Settled(found.p, found.q, self._totals(plan), torch.empty(0)))
        return found

    def balanced(self, plan: Tensor) -> Tensor:
        steps = []
        for _ in range(BALANCING):
            plan = over_rows(self.cells, plan)
            steps.append(self._totals(plan))
            plan = over_columns(self.cells, plan)
        self.rounds[-1] = self.rounds[-1]._replace(steps=torch.stack(steps))
        return plan

    def _totals(self, plan: Tensor) -> Tensor:
        return log_total(plan, self.cells.row, self.cells.shape[0])


class AmongSettled:
    """The balance of new queries' cells: in its row each stands among the cells of earlier queries alone."""

    def __init__(self, cells: CellGraph, rounds: Sequence[Settled]) -> None:
        self.cells, self.rounds, self.at = cells, rounds, -1

    def shares(self, plan: Tensor) -> CellShares:
        self.at += 1
        settled = self.rounds[self.at]
        p_log, q_log = over_rows(self.cells, plan), self._in_rows(plan, settled.totals)
        return CellShares(p_log, q_log, torch.cat([settled.p, p_log.exp()]), torch.cat([settled.q, q_log.exp()]))

    def balanced(self, plan: Tensor) -> Tensor:
        for totals in self.rounds[self.at].steps:
            plan = self._in_rows(over_rows(self.cells, plan), totals)
        return plan

    def _in_rows(self, plan: Tensor, totals: Tensor) -> Tensor:
        # torch.logaddexp gives other last bits at other places of a tensor.
        totals = totals[self.cells.row]
        top = torch.maximum(totals, plan)
        return plan - top - ((totals - top).exp() + (plan - top).exp()).log()


@dataclass(frozen=True)
class Earlier:
    """What is kept of earlier queries (columns) with a gallery's items (rows): those of a bank, each once.

    `asked` are their numbers in the bank, `keys` (cells,) those of their cells, `rounds` what was settled of them, and
    the rest describes a new query's cells: scales, the items' best scores, the highest logit of three plans (3,) and
    their factors of items (3, rows), the least plan each item keeps, the nearest items of items, the factors of
    queries, and the numbers of the cells (rows, n) of the earlier queries that each item was given to.
    """

    shape: tuple[int, int]
    asked: Tensor
    keys: Tensor
    rounds: tuple[Settled, ...]
    scale: Scale
    items: Summary
    tops: Tensor
    of_items: Tensor
    least: Tensor
    near_items: Near
    near_queries: Near
    likely: Tensor

    @classmethod
    def of(
        cls, network: PlusNetwork, once: Bank, asked: IntArray, gallery_scores: Scores, settings: PlusSettings
    ) -> Earlier:
        """Of a bank that holds every query once, with all its relations; `asked` are their numbers in the bank."""
        assert once.to_gallery is not None
        problem = Problem(once.to_gallery, query_scores=once.to_bank, gallery_scores=gallery_scores).reversed()
        seen = seen_in(problem, settings)
        device = next(network.parameters()).device
        cells = described(seen, settings).to(device)
        watched = Watched(cells)
        with torch.inference_mode():
            network(cells, watched)
        rounds = tuple(Settled(*(part.cpu() for part in one)) for one in watched.rounds)
        return cls._from(asked, seen, cells, rounds)

    @classmethod
    def _from(cls, asked: IntArray, seen: Seen, cells: CellGraph, rounds: tuple[Settled, ...]) -> Earlier:
        return cls(
            shape=cells.shape,
            asked=torch.from_numpy(asked),
            keys=cells.keys.cpu(),
            rounds=rounds,
            scale=seen.scale,
            items=Summary.of(seen.lists.columns[1]),
            tops=torch.stack([one.top for one in seen.plans]),
            of_items=torch.stack([one.of_rows for one in seen.plans]),
            least=seen.least[0],
            near_items=seen.rows,
            near_queries=seen.columns._replace(similarities=torch.empty(0), ids=torch.empty(0)),
            likely=cells.likely_columns.cpu(),
        )

    def cells(self, problem: Problem, bank: Bank, settings: PlusSettings) -> CellGraph:
        """The cells of new queries, those of a problem, with numbers that count on from the earlier queries' cells."""
        assert bank.to_queries is not None
        assert problem.gallery_scores is not None
        to_queries = bank.to_queries
        if len(self.asked) < bank.size:
            to_queries = to_queries.take(self.asked.numpy())
        picked, summary = self._picked(problem.scores, settings)
        plans = [self._plan(picked, at, settings.sharpness * spread) for at, spread in enumerate(SPREADS)]
        ids, values = to_queries.T.topk(settings.pillars)
        near, near_ids = padded(ids, self.near_queries.scale.apply(values), settings.pillars)
        factors = 1 / self.near_queries.weights(near, near_ids, torch.ones(len(near))).sum(dim=1).clamp_min(1e-30)
        likely = likely_of(plans[1], picked.column, picked.row, picked.shape[1], settings.likely[1])
        columns, rows = torch.arange(picked.shape[1])[:, None], self.near_items
        numbers = Numbers(self.keys, self.shape[1], picked)
        likely_queries = torch.cat([self.keys % self.shape[1], torch.full((1,), -1)])[self.likely]
        return CellGraph(
            row=picked.row,
            column=picked.column,
            shape=picked.shape,
            first_plan=plans[1],
            fixed=fixed_columns(picked, plans, (self.items, summary), near, self.shape),
            near_columns=numbers.earlier(picked.row[:, None], near_ids[picked.column]),
            column_weights=self.near_queries.weights(near, near_ids, factors)[picked.column],
            near_rows=numbers.own(rows.ids[picked.row], picked.column[:, None]),
            row_weights=rows.weights(rows.similarities, rows.ids, rows.factors)[picked.row],
            likely_columns=torch.where(likely_queries < 0, numbers.none, self.likely),
            column_likeness=_likeness(to_queries.T, self.near_queries.scale, picked.column, likely_queries[picked.row]),
            likely_rows=numbers.own(likely, columns),
            row_likeness=_likeness(problem.gallery_scores, rows.scale, picked.row, likely[picked.column], same=True),
            scales=(rows.scale, self.near_queries.scale),
        )

    def _picked(self, scores: Scores, settings: PlusSettings) -> tuple[Picked, Summary]:
        """Each query's best items, thinned out by the first plan."""
        ids, values = scores.topk(settings.cells_seen[1])
        values = self.scale.apply(values)
        query, place = np.nonzero(ids >= 0)
        order = np.lexsort((query, ids[query, place]))
        query, place = query[order], place[order]
        row, column = torch.from_numpy(ids[query, place]), torch.from_numpy(query)
        shape = self.shape[0], scores.shape[0]
        wide = Picked(row, column, torch.from_numpy(values[query, place]), shape)
        plan = self._plan(wide, 1, settings.sharpness)
        keep = (places(plan, column, shape[1]) < settings.cells_kept[1]) | (plan > self.least[row])
        return Picked(row[keep], column[keep], wide.score[keep], shape), Summary.of(values)

    def _plan(self, picked: Picked, at: int, sharpness: float) -> Tensor:
        """The log plan of new queries' cells: each has the room of one earlier query."""
        logits = sharpness * picked.score - self.tops[at] + self.of_items[at, picked.row]
        found: Tensor = log_share(logits, picked.column, picked.shape[1]) + float(np.log(self.shape[0] / self.shape[1]))
        return found

    def state(self) -> tuple[dict[str, AnyArray], dict[str, Any]]:
        """Arrays and values from which `restored` makes it again."""
        rounds = {
            f"rounds/{at}/{name}": part for at, one in enumerate(self.rounds) for name, part in one._asdict().items()
        }
        tensors = {name: getattr(self, name) for name in _TENSORS} | {"items": self.items.values} | rounds
        tensors |= {f"near_items/{name}": getattr(self.near_items, name) for name in _NEAR}
        tensors |= {f"near_queries/{name}": getattr(self.near_queries, name) for name in _NEAR}
        scales = {"scale": self.scale, "of_items": self.near_items.scale, "of_queries": self.near_queries.scale}
        values: dict[str, Any] = {"scales": {name: [one.best, one.gap] for name, one in scales.items()}}
        values |= {"shape": list(self.shape), "rounds": len(self.rounds), "sharpness": self.near_items.sharpness}
        return {name: one.numpy() for name, one in tensors.items()}, values

    @classmethod
    def restored(cls, arrays: Mapping[str, AnyArray], values: Mapping[str, Any]) -> Earlier:
        """What `state` was taken of."""
        found = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        scales = {name: Scale(*one) for name, one in values["scales"].items()}
        near = {}
        for name in ("items", "queries"):
            parts = (found[f"near_{name}/{part}"] for part in _NEAR)
            similarities, ids, top, factors = parts
            near[name] = Near(similarities, ids, scales[f"of_{name}"], top, factors, values["sharpness"])
        rounds = tuple(
            Settled(*(found[f"rounds/{at}/{name}"] for name in Settled._fields)) for at in range(values["rounds"])
        )
        rest = {name: found[name] for name in _TENSORS}
        return cls(
            shape=tuple(values["shape"]),
            rounds=rounds,
            scale=scales["scale"],
            items=Summary.of(np.array(arrays["items"])),
            near_items=near["items"],
            near_queries=near["queries"],
            **rest,
        )


def _likeness(scores: Scores, scale: Scale, items: Tensor, likely: Tensor, same: bool = False) -> Tensor:
    """Similarities (cells, n) of each cell's item to the likely ones (cells, n), pair by pair, so that no other query
    changes a bit; 0 to padding, and to itself where both are the `same` items.
    """
    found = scale.apply(scores.pairs(items.numpy()[:, None], likely.clamp_min(0).numpy()))
    unknown = (likely.numpy() < 0) | ~np.isfinite(found)
    if same:
        unknown |= likely.numpy() == items.numpy()[:, None]
    return torch.from_numpy(np.where(unknown, 0, found).astype(np.float32))


class Numbers:
    """The numbers of cells where the new ones count on from the earlier ones; `none` is one that no cell has."""

    def __init__(self, keys: Tensor, width: int, picked: Picked) -> None:
        self._keys, self._width, self._new_width = keys, width, picked.shape[1]
        self._new = picked.row * picked.shape[1] + picked.column
        self.none = len(keys) + len(self._new)

    def earlier(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Of earlier queries' cells."""
        found = find(self._keys, keys_of(rows, columns, self._width))
        return torch.where(found == len(self._keys), self.none, found)

    def own(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Of new queries' cells."""
        return find(self._new, keys_of(rows, columns, self._new_width)) + len(self._keys)


def scores_of_new(network: PlusNetwork, earlier: Earlier, cells: CellGraph) -> Tensor:
    """The scores (cells,) of new queries' cells."""
    device = next(network.parameters()).device
    cells = cells.to(device)
    rounds = [Settled(*(part.to(device) for part in one)) for one in earlier.rounds]
    with torch.inference_mode():
        found: Tensor = network(cells, AmongSettled(cells, rounds))[-1][1]
    return found
