"""Scores of the candidates of a first stage, and rankings of a whole gallery: the two ends of the cascade."""

from __future__ import annotations

import numpy as np
import torch

from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.features import Regions
from rerankit.padded import moved_first
from rerankit.ranking import Ranking
from rerankit.scores import blocks
from rerankit.scores.topk import topk_dense
from rerankit.seams import splice
from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.fast import Encoding, Images, Searches
from rerankit.stages.hmrn.representation import Descriptions
from rerankit.stages.hmrn.scoring import RoundScores, Scorer


def encoded_once(scorer: Scorer, regions: Regions, candidates: IntArray) -> Encoding:
    """What gives encoded pictures of a problem: all candidates (searches, K) are encoded now, each once."""
    used = np.unique(candidates[candidates >= 0])
    images = scorer.images(regions if len(used) == len(regions) else regions.take(used))

    def some(rows: IntArray) -> list[Images]:
        chosen = torch.from_numpy(np.searchsorted(used, rows)).to(scorer.device)
        return [side[chosen] for side in images]

    return some


def candidate_scores(
    scorer: Scorer, encoded: Encoding, queries: Descriptions, candidates: IntArray, rounds: list[int], depth: int
) -> RoundScores:
    """All levels of candidates (searches, K), padded with −1, after each of `rounds`: (rounds, searches, K) each.

    Reasoning and the joint score are there for the `depth` best by the cheap levels; elsewhere, and at padding, nan.
    """
    searches = scorer.searches(queries)
    tables = [np.full((len(rounds), *candidates.shape), np.nan, np.float32) for _ in range(4)]
    local, overall, reasoning, joint = tables
    for row in track(range(len(candidates)), "score candidates"):
        real = np.flatnonzero(candidates[row] >= 0)
        if not len(real):
            continue
        few = encoded(candidates[row, real])
        own = [side[row : row + 1] for side in searches]
        levels = [level[:, 0].cpu().numpy() for level in scorer.cheap_levels(few, own, rounds)]
        local[:, row, real], overall[:, row, real] = levels
        for number, share in enumerate(scorer.config.cheap_share(*levels)):
            best = _best(share, depth)
            found = scorer.reason(few, own, 0, best, [rounds[number]])[0].cpu().numpy()
            reasoning[number, row, real[best]] = found
            joint[number, row, real[best]] = share[best] + _weight(scorer, own, 0, rounds[number]) * found
    return RoundScores(tuple(rounds), local, overall, reasoning, joint)


def candidate_rankings(scores: RoundScores, config: HmrnConfig, ranking: Ranking) -> list[Ranking]:
    """The candidates after each round: those the reasoning level reached by the joint score, the rest behind them."""
    made = []
    for cheap, joint in zip(config.cheap_share(scores.local, scores.overall), scores.joint, strict=True):
        tail = ranking.with_scores(np.where(ranking.mask, cheap, -np.inf))
        reached = ~np.isnan(joint)
        head = ranking.keep(reached)
        made.append(splice(head.with_scores(moved_first(joint, reached)), tail))
    return made


def gallery_rankings(
    scorer: Scorer,
    images: list[Images],
    searches: list[Searches],
    rounds: list[int],
    *,
    depth: int | None,
    keep: int,
) -> list[Ranking]:
    """A ranking of the whole gallery after each of `rounds`: its first `keep` places.

    Local and global level for all pairs; reasoning for the `depth` best by them (None: all pairs).
    """
    size = len(images[0])
    keep = min(keep, size)
    parts: list[list[Ranking]] = [[] for _ in rounds]
    for rows in track(_search_blocks(searches, size, len(rounds)), "rank the gallery"):
        part = [side[rows] for side in searches]
        if depth is None or depth >= size:
            tables = np.concatenate([block.joint for block in scorer.score(images, part, rounds)], axis=1)
            for made, table in zip(parts, tables, strict=True):
                made.append(Ranking(*topk_dense(table, keep), gallery_size=size))
            continue
        shares = scorer.cheap(images, part, rounds).cpu().numpy()
        for number, share in enumerate(shares):
            tail = Ranking(*topk_dense(share, max(keep, depth)), gallery_size=size)
            parts[number].append(_with_head(scorer, images, part, tail, depth, rounds[number]).top(keep))
    return [Ranking.concat(made) for made in parts]


def _with_head(
    scorer: Scorer, images: list[Images], searches: list[Searches], tail: Ranking, depth: int, t: int
) -> Ranking:
    head = tail.top(depth)
    reasoned = [
        _weight(scorer, searches, row, t) * scorer.reason(images, searches, row, found, [t])[0]
        for row, found in enumerate(head.indices)
    ]
    added = torch.stack(reasoned).cpu().numpy()
    return splice(head.with_scores(head.scores + added), tail)


def _weight(scorer: Scorer, searches: list[Searches], row: int, t: int) -> float:
    """How much of the reasoning level goes into the joint score of one search after t rounds."""
    config = scorer.config
    return config.reasoning_weight * config.round_weight(min(t, int(searches[0].counts[row])))


def _best(scores: FloatArray, depth: int) -> IntArray:
    """Places of the `depth` best by the tie rule."""
    if len(scores) <= depth:
        return np.arange(len(scores))
    return np.argsort(-scores, kind="stable")[:depth]


def _search_blocks(searches: list[Searches], images: int, rounds: int) -> list[slice]:
    row = images * 4 * (searches[0].queries.shape[1] + 6 * rounds)
    return list(blocks(len(searches[0]), row, share=0.5))
