"""Which pairs are scored when: packs ordered by candidate, and waves where time is short."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rerankit import settings
from rerankit.errors import StageError
from rerankit.stages.triplet.budget import Budget, shares
from rerankit.stages.triplet.packed import Keys, Pack, PackedScorer

IntArray = NDArray[np.int64]


class TokenSource(Protocol):
    """Where candidates' image tokens come from."""

    def tokens(self, columns: IntArray) -> Tensor:
        """(len(columns), P, width)."""

    def missing(self, columns: IntArray) -> NDArray[np.bool_]:
        """Which of these candidates have no tokens."""


@dataclass(frozen=True)
class QueryStates:
    """Every query's z_t and token ids, laid end to end: `states` (tokens, hidden), `ids` (tokens,)."""

    states: Tensor
    ids: Tensor
    lengths: IntArray

    @property
    def starts(self) -> IntArray:
        return np.cumsum(self.lengths) - self.lengths

    @classmethod
    def from_padded(cls, states: Tensor, ids: Tensor, mask: Tensor) -> QueryStates:
        """From z_t (Q, T, hidden), ids and mask (Q, T), words first in each row."""
        exists = mask.bool()
        return cls(states[exists], ids[exists], exists.sum(1).cpu().numpy().astype(np.int64))


class Block(NamedTuple):
    """One pack to be: `columns` (C,), the `pairs` (n,) by position in the caller's list, `counts` (C,)."""

    columns: IntArray
    pairs: IntArray
    counts: IntArray
    part: bool
    """Whether this is one of several blocks of a single candidate."""


def plan(columns: IntArray, lengths: IntArray, max_tokens: int, max_candidates: int) -> Iterator[Block]:
    """Pairs of `columns` (pairs,) and text `lengths` (pairs,) as blocks, each pair in exactly one.

    Candidates with about as many tokens share a block, so that little of it is padding. A candidate with
    more tokens than `max_tokens` is cut into blocks that follow each other.
    """
    order = np.argsort(columns, kind="stable")
    ids, starts, counts = np.unique(columns[order], return_index=True, return_counts=True)
    tokens = np.add.reduceat(lengths[order], starts) if len(ids) else np.zeros(0, np.int64)
    group: list[int] = []
    for place in np.argsort(-tokens, kind="stable"):
        mine = order[starts[place] : starts[place] + counts[place]]
        if tokens[place] > max_tokens:
            pieces = list(_pieces(mine, lengths, max_tokens))
            yield from (Block(ids[[place]], p, np.array([len(p)]), len(pieces) > 1) for p in pieces)
            continue
        # Groups are cut by their first, longest candidate: all are padded to it in one attention.
        if group and (len(group) >= max_candidates or (len(group) + 1) * tokens[group[0]] > max_tokens):
            yield _block(group, order, ids, starts, counts)
            group = []
        group.append(int(place))
    if group:
        yield _block(group, order, ids, starts, counts)


def _pieces(pairs: IntArray, lengths: IntArray, max_tokens: int) -> Iterator[IntArray]:
    pairs = pairs[np.argsort(lengths[pairs], kind="stable")]
    ends = np.cumsum(lengths[pairs])
    cut = 0
    while cut < len(pairs):
        before = ends[cut - 1] if cut else 0
        stop = max(cut + 1, int(np.searchsorted(ends, before + max_tokens, side="right")))
        yield pairs[cut:stop]
        cut = stop


def _block(group: list[int], order: IntArray, ids: IntArray, starts: IntArray, counts: IntArray) -> Block:
    pairs = np.concatenate([order[starts[place] : starts[place] + counts[place]] for place in group])
    return Block(ids[group], pairs, counts[group], False)


class PairScorer:
    """Scores (query, candidate) pairs in candidate-major packs; the packs never change a score."""

    def __init__(
        self,
        scorer: PackedScorer,
        queries: QueryStates,
        source: TokenSource,
        *,
        max_tokens: int | None = None,
    ) -> None:
        self.scorer, self.queries, self.source = scorer, queries, source
        config = scorer.config
        per_token = 4 * (2 * config.intermediate + 10 * config.hidden)
        per_candidate = 4 * config.image_tokens * (4 * config.hidden + config.width)
        budget = settings.memory_budget()
        self.max_tokens = max_tokens or max(64, budget // (2 * per_token))
        self.max_candidates = max(1, budget // (2 * per_candidate))
        self.states = queries.states.to(scorer.device)
        self.ids = queries.ids.to(scorer.device)
        self._kept: tuple[int, list[Keys]] | None = None

    def score(self, rows: IntArray, columns: IntArray, deadline: float | None = None) -> NDArray[np.float32]:
        """Scores (pairs,) of query `rows` with candidate `columns`, NaN where time ran out.

        Every candidate must have tokens. `deadline` is on `time.monotonic`'s clock.
        """
        out = np.full(len(rows), np.nan, np.float32)
        lengths = self.queries.lengths[rows]
        for block in plan(columns, lengths, self.max_tokens, self.max_candidates):
            if deadline is not None and time.monotonic() >= deadline:
                break
            scores = self._run(block, rows[block.pairs])
            if not np.isfinite(scores).all():
                raise StageError("stage 'triplet' gave a score that is not finite; look at its weights and tokens")
            out[block.pairs] = scores
        self._kept = None
        return out

    def _run(self, block: Block, rows: IntArray) -> NDArray[np.float32]:
        pack = self._pack(rows, block.counts)
        if not block.part:
            scores = self.scorer.score(pack, self.source.tokens(block.columns))
            return np.asarray(scores.float().cpu().numpy())
        keys = self._keys(int(block.columns[0]))
        return np.asarray(self.scorer.score(pack, torch.empty(0), keys).float().cpu().numpy())

    def _keys(self, column: int) -> list[Keys]:
        if self._kept is None or self._kept[0] != column:
            self._kept = None
            self._kept = column, self.scorer.keys(self.source.tokens(np.array([column])))
        return self._kept[1]

    def _pack(self, rows: IntArray, counts: IntArray) -> Pack:
        device = self.scorer.device
        lengths = self.queries.lengths[rows]
        positions = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        index = torch.from_numpy(np.repeat(self.queries.starts[rows], lengths) + positions).to(device)
        own = self.scorer.embed(self.ids[index], torch.from_numpy(positions).to(device))
        streams = torch.stack([self.states[index].float(), own])
        return Pack(streams, torch.from_numpy(lengths).to(device), torch.from_numpy(counts).to(device))


def score_within(
    scorer: PairScorer, indices: IntArray, budget: Budget, started: float
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Scores (queries, K) of candidate `indices` (padded with −1), NaN where not scored, and what was done.

    Within a budget every query gets its most promising candidates scored first, so what is scored is always
    a prefix of its list (candidates without tokens left out).
    """
    usable = indices >= 0
    usable[usable] = ~scorer.source.missing(indices[usable])
    order = np.cumsum(usable, axis=1) - 1
    depths = usable.sum(axis=1).astype(np.int64)
    out = np.full(indices.shape, np.nan, np.float32)
    if budget.seconds is not None:
        _score_in_time(scorer, indices, usable, order, out, started + budget.seconds)
    else:
        granted = depths if budget.pairs is None else shares(depths, budget.pairs)
        chosen = usable & (order < granted[:, None])
        rows, columns = np.nonzero(chosen)
        out[chosen] = scorer.score(rows, indices[rows, columns])
    scored = np.isfinite(out)
    report = {
        "scored_pairs": int(scored.sum()),
        "candidate_pairs": int((indices >= 0).sum()),
        "complete": bool((scored == usable).all()),
        "least_scored": int(scored.sum(axis=1).min(initial=indices.shape[1])),
        "most_scored": int(scored.sum(axis=1).max(initial=0)),
    }
    return out, report


def _score_in_time(
    scorer: PairScorer,
    indices: IntArray,
    usable: NDArray[np.bool_],
    order: IntArray,
    out: NDArray[np.float32],
    deadline: float,
) -> None:
    """Fill `out` wave by wave; each wave takes ranks that the pace so far says there is time for."""
    done, depth = 0, int(usable.sum(axis=1).max(initial=0))
    wave = max(1, depth // 16)
    while done < depth and time.monotonic() < deadline:
        began = time.monotonic()
        chosen = usable & (order >= done) & (order < done + wave)
        rows, places = np.nonzero(chosen)
        out[chosen] = scorer.score(rows, indices[rows, places], deadline)
        done += wave
        pace = max(time.monotonic() - began, 1e-6) / wave
        # A larger wave shares more work between queries; four fifths leaves room for a slower one.
        wave = max(1, int(0.8 * (deadline - time.monotonic()) / pace))
    # A wave that was cut short has scored candidates behind unscored ones: only the prefix counts.
    whole = np.logical_and.accumulate(np.isfinite(out) | ~usable, axis=1)
    out[~whole] = np.nan
