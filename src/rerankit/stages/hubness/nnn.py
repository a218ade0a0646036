"""nnn: nearest-neighbour normalisation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.pipelines.scaling import BY_ITEMS
from rerankit.scores import ListScores, Scores
from rerankit.sides import Side
from rerankit.stages.banks import check_bank
from rerankit.stages.hubness.evidence import TopMeans, trusted_top_means
from rerankit.stages.hubness.frame import frame_and_highest
from rerankit.stages.hubness.highest import column_top, column_top_mean
from rerankit.stages.hubness.partners import evenly_asked
from rerankit.stages.hubness.stage import Correction, HubnessStage
from rerankit.stages.lone import check_lone

_STEEP = 0.8  # enough for an item's level to count in full


class NNN(HubnessStage):
    """Subtract from a score the item's bias: α times its mean score over the nearest other queries.

    Every query's scores are first taken relative to what is usual for it (their mean), the query that is answered is
    left out, and the differences between items count only as far as they are more than chance: with few other
    queries they vanish; as far as items are asked for evenly (`evenly` in the notes): popular items are no hubs; and
    as far as queries' best scores lie as far apart as the next ones (`steepness`): where they crowd, what is near to
    many is no hub. A few hundred queries of the same kind make a good `bank`. It loses with a bank from another domain,
    where all queries ask for one kind of items, and a little where single items are rightly near to many queries that
    are not sure of them.

    `published` takes the plain mean over the `neighbours` nearest, the query itself among them, and trusts it fully.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "nnn", published=True, k=2).indices[0]
    array([1, 0])
    """

    scaling = replace(HubnessStage.scaling, cut=BY_ITEMS)
    name = "nnn"
    citation = "Chowdhury et al., Nearest neighbor normalization improves multimodal retrieval (EMNLP 2024)"

    def __init__(
        self,
        neighbours: int = 8,
        alpha: float = 0.75,
        published: bool = False,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.alpha = checks.number("alpha", alpha, least=0)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        if self.published:
            return Correction(-self.alpha * column_top_mean(others, self.neighbours))
        return nearest_correction(others, self.neighbours, self.alpha, same)

    def correction_of_more(self, found: Correction, more: Scores) -> Correction | None:
        if self.published:
            return None if isinstance(more, ListScores) else self.correction(Side(more.shape[1]), more, False)
        return nearest_of_more(found, more, self.neighbours, self.alpha)


class _FromTopMeans(Correction):
    """Minus a share of the items' levels; for test queries each is left out of the levels it is corrected by."""

    def __init__(
        self, means: TopMeans, share: float, usual: AnyArray | None, frame: dict[str, AnyArray], **notes: Any
    ) -> None:
        levels = -share * means.at(slice(None))  # type: ignore[arg-type]
        super().__init__(levels, trust=round(float(means.trust.mean()), 3), frame=frame, **notes)
        self.means, self.share, self.usual = means, share, usual

    def added(self, own: FloatArray, items: IntArray, mask: BoolArray) -> AnyArray:
        if self.usual is None:
            return super().added(own, items, mask)
        return -self.share * self.means.without(own - self.usual[:, None], items)


def nearest_correction(others: Scores, neighbours: int, share: float, same: bool) -> Correction:
    """Minus `share` of the items' mean scores among their nearest other queries, as far as they are trusted."""
    count = others.shape[0]
    k = min(neighbours, count - 1 if same else count)
    frame, highest = frame_and_highest(others, min(k + 1, count))
    means = trusted_top_means(highest, k, count)
    kept = {"usual": frame.usual, "level": np.array([means.mean, means.real])}
    if frame.absent is not None:
        kept["absent"] = frame.absent
    evenly = evenly_asked(others, frame.spread, answered=same)
    steepness = round(min(1.0, frame.steepness / _STEEP), 3)
    usual = frame.usual if same else None
    return _FromTopMeans(means, share * evenly * steepness, usual, kept, evenly=evenly, steepness=steepness)


def nearest_of_more(found: Correction, more: Scores, neighbours: int, share: float) -> Correction:
    """The same for further items, measured as those of `found` were: what is usual for the queries stays as it was."""
    count, frame = more.shape[0], found.frame
    k = min(neighbours, count)
    highest = column_top(more, min(k + 1, count), frame["usual"], frame.get("absent"))
    means = trusted_top_means(highest, k, count, (float(frame["level"][0]), float(frame["level"][1])))
    share *= found.notes["evenly"] * found.notes["steepness"]
    return Correction(-share * means.at(slice(None)))  # type: ignore[arg-type]
