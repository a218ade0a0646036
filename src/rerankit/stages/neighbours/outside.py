"""Queries outside a joint graph of a bank and a gallery, and their neighbours there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rerankit.bank import Bank
from rerankit.pipelines.finding import finder_for
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, Scores, blocks, topk_dense
from rerankit.scores.search import Ends
from rerankit.stages.neighbours.both_sides import SPARE, Map, Neighbours, SideBySide, mapped_ends, nearest, of_both


class Outside(SideBySide):
    """Queries outside a joint graph of a bank and a gallery: they have neighbours there, and are no item's neighbour.

    So the graph, and with it one query's answer, does not depend on the queries under test.
    """

    def __init__(self, problem: Problem, bank: Bank, onto: Map | None) -> None:
        assert bank.to_queries is not None, "checked by the stage's unmet needs"
        super().__init__(bank.to_queries.T, problem.scores, (onto, None))

    def neighbours(self, k: int, highest: float, *, level: bool = False) -> Neighbours:
        """The k nearest items of every query, and their `level`; the highest score anywhere the graph alone tells."""
        finder = finder_for(*self.parts)
        if finder is not None:
            return replace(self.about(finder, k, level=level), highest=highest)
        found = None if level else self._from_ends(min(k, self.shape[1]), highest)
        if found is not None:
            return found
        work = list(blocks(self.shape[0], self.shape[1] * 12, share=0.5, least=64))
        return replace(nearest(self.rows, work, self.shape, k, level=level), highest=highest)

    def _from_ends(self, k: int, highest: float) -> Neighbours | None:
        """The same where the gallery is searched in single precision first; None where something else serves."""
        bank, gallery = self.parts
        found = _searched(gallery, k + SPARE)
        if found is None or not bank.complete or k + SPARE > bank.shape[1]:
            return None
        own = _searched(bank, k + SPARE) or _of_whole_rows(bank, k + SPARE)
        parts = mapped_ends(own, self.maps[0]), found
        return Neighbours(*of_both(parts, (0, self.border), k, self.shape[1], self.rows), highest)


def _searched(scores: Scores, k: int) -> Ends | None:
    """The first k of every row and its lowest score, where a search in single precision tells."""
    found = scores.ends(k) if isinstance(scores, EmbeddingScores) else None
    return None if found is None else found[0]


def _of_whole_rows(scores: Scores, k: int) -> Ends:
    """The same from whole rows."""
    parts = []
    for block in blocks(scores.shape[0], scores.shape[1] * 12, share=0.5, least=64):
        values = scores.rows(block)
        parts.append((*topk_dense(values, k), values.min(axis=1)))
    indices, found, lowest = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Ends((indices, found), lowest)
