"""Scores of the candidates of a first stage, and rankings of a whole gallery: the two ends of the cascade."""

from __future__ import annotations

import numpy as np
import torch

from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.ranking import Ranking, splice
from rerankit.scores import blocks
from rerankit.scores.topk import order, topk_dense
from rerankit.stages.hmrn.fast import Images, Searches
from rerankit.stages.hmrn.representation import Descriptions, Regions
from rerankit.stages.hmrn.scoring import Scorer


def candidate_scores(
    scorer: Scorer, regions: Regions, queries: Descriptions, candidates: IntArray, rounds: list[int], depth: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Scores of candidates (searches, K), padded with −1, after each of `rounds`.

    Returns the cheap share (rounds, searches, K); and for the `depth` best by it the joint score and the items,
    (rounds, searches, depth) each.
    """
    used = np.unique(candidates[candidates >= 0])
    places = np.searchsorted(used, candidates)
    images, searches = scorer.images(regions if len(used) == len(regions) else regions[used]), scorer.searches(queries)
    shape = (len(rounds), *candidates.shape)
    cheap = np.full(shape, -np.inf, np.float32)
    joint = np.full((*shape[:2], depth), -np.inf, np.float32)
    heads = np.full((*shape[:2], depth), -1, np.int64)
    for row in track(range(len(candidates)), "score candidates"):
        real = np.flatnonzero(candidates[row] >= 0)
        if not len(real):
            continue
        chosen = torch.from_numpy(places[row, real]).to(scorer.device)
        few = [side[chosen] for side in images]
        own = [side[row : row + 1] for side in searches]
        shares = scorer.cheap(few, own, rounds)[:, 0].cpu().numpy()
        cheap[:, row, real] = shares
        for number, share in enumerate(shares):
            best = _best(share, candidates[row, real], depth)
            scores = share[best] + _reasoned(scorer, few, own, 0, best, rounds[number])
            joint[number, row, : len(best)] = scores
            heads[number, row, : len(best)] = candidates[row, real][best]
    return cheap, joint, heads


def gallery_rankings(
    scorer: Scorer, images: list[Images], searches: list[Searches], rounds: list[int], *, depth: int | None, keep: int
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
    return [_stacked(made) for made in parts]


def _with_head(
    scorer: Scorer, images: list[Images], searches: list[Searches], tail: Ranking, depth: int, t: int
) -> Ranking:
    items = tail.indices[:, :depth]
    added = np.stack([_reasoned(scorer, images, searches, row, found, t) for row, found in enumerate(items)])
    indices, scores = order(tail.scores[:, :depth] + added, items)
    return splice(Ranking(indices, scores, gallery_size=tail.gallery_size), tail)


def _reasoned(
    scorer: Scorer, images: list[Images], searches: list[Searches], row: int, items: IntArray, t: int
) -> FloatArray:
    """What the reasoning level adds to the joint score of one search with some images after t rounds."""
    config = scorer.config
    weight = config.reasoning_weight * config.round_weight(min(t, int(searches[0].counts[row])))
    found = scorer.reason(images, searches, row, items, [t])[0]
    return (weight * found).cpu().numpy()


def _best(scores: FloatArray, items: IntArray, depth: int) -> IntArray:
    """Places of the `depth` best by the tie rule."""
    if len(scores) <= depth:
        return np.arange(len(scores))
    return np.lexsort((items, -scores))[:depth]


def _search_blocks(searches: list[Searches], images: int, rounds: int) -> list[slice]:
    row = images * 4 * (searches[0].queries.shape[1] + 6 * rounds)
    return list(blocks(len(searches[0]), row, share=0.5))


def _stacked(parts: list[Ranking]) -> Ranking:
    indices = np.concatenate([part.indices for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    return Ranking(indices, scores, gallery_size=parts[0].gallery_size)
