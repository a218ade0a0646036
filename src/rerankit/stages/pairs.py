"""What stages share that score pairs of a query and a candidate by what both say: reading, keeping scores, skipping."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.errors import InputError, rule
from rerankit.features import Feature
from rerankit.pipelines.scaling import Scaling
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.seams import promote

Pair = tuple[Any, Any]
Key = tuple[str, str]
"""What a pair is, by its texts or by hashes of its pictures."""


class PairStage(Stage):
    """A stage that gives each pair of a query and a candidate a score by their features, and keeps it for the next run.

    A subclass implements `score_pairs`; scores that it hands to `keep` are not asked for again.
    """

    scaling = Scaling(shared="the model")
    query: str
    candidate: str

    def __init__(self, cache_size: int, on_error: str) -> None:
        self.cache_size = checks.integer("cache_size", cache_size, least=0)
        self.on_error = checks.choice("on_error", on_error, ("raise", "skip"))
        self._kept: OrderedDict[Key, float] = OrderedDict()

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"query_features:{self.query}", f"gallery_features:{self.candidate}")

    def score_pairs(self, pairs: list[Pair], keys: list[Key]) -> tuple[FloatArray, list[str]]:
        """Scores (len(pairs),) of pairs that are not known, each once; with `on_error` "skip" NaN where one has
        none, and the reasons.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement 'score_pairs'")

    def keep(self, keys: Iterable[Key], scores: FloatArray) -> None:
        """Remember scores for later runs."""
        self._kept.update(zip(keys, scores.tolist(), strict=True))

    def rescore(self, problem: Problem, ranking: Ranking) -> AnyArray:
        scores, _ = self._read_and_score(problem, ranking, skip=False)
        return np.where(ranking.mask, scores, -np.inf)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        if self.on_error == "raise":
            return super().reorder(problem, ranking)
        scores, skipped = self._read_and_score(problem, ranking, skip=True)
        return promote(ranking, scores).with_notes(**{self.name: skipped})

    def _read_and_score(self, problem: Problem, ranking: Ranking, *, skip: bool) -> tuple[FloatArray, dict[str, Any]]:
        """Scores (queries, K), NaN where there is none, and why rows and columns were skipped."""
        queries, candidates = problem.query_features[self.query], problem.gallery_features[self.candidate]
        rows, places = np.nonzero(ranking.mask)
        columns = ranking.indices[rows, places]
        left, lost = _keys(queries, np.unique(rows), "query", skip)
        right, gone = _keys(candidates, np.unique(columns), "candidate", skip)
        kept = ~(np.isin(rows, list(lost)) | np.isin(columns, list(gone)))
        rows, places, columns = rows[kept], places[kept], columns[kept]
        keys = [(left[row], right[column]) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]
        # Threads may share the stage: what is known is taken now, since another may forget it.
        known = {key: score for key in keys if (score := self._kept.get(key)) is not None}
        new = {key: place for place, key in enumerate(keys) if key not in known}
        failed: list[str] = []
        if new:
            pairs = [(queries[rows[place]], candidates[columns[place]]) for place in new.values()]
            fresh, failed = self.score_pairs(pairs, list(new))
            known |= zip(new, fresh.tolist(), strict=True)
        self._forget()
        scores = np.full(ranking.shape, np.nan, np.float32)
        scores[rows, places] = [known[key] for key in keys]
        notes = {"failed": failed} if failed else {}
        return scores, {"skipped_queries": lost, "skipped_candidates": gone, **notes}

    def _forget(self) -> None:
        while len(self._kept) > self.cache_size:
            with suppress(KeyError):  # another thread may have forgotten the last one
                self._kept.popitem(last=False)


def _keys(items: Feature, rows: IntArray, side: str, skip: bool) -> tuple[dict[int, str], dict[int, str]]:
    """What each of these items is, and why others cannot be read; without `skip` the first of those is an error."""
    known: dict[int, str] = {}
    lost: dict[int, str] = {}
    for row in rows.tolist():
        try:
            known[row] = _key(items[row], side, row)
        except InputError as error:
            if not skip:
                raise
            lost[row] = str(error)
    return known, lost


def _key(item: Any, side: str, row: int) -> str:
    """What an item is: a text itself, or a hash of a picture's pixels, which are read for that."""
    if isinstance(item, str):
        if not item.strip():
            raise InputError(f"the text of {side} {row} is empty")
        return item
    if not isinstance(item, os.PathLike) and not hasattr(item, "tobytes"):
        raise rule(f"{side} {row}", "must be a text, a picture's path or a picture", type(item).__name__)
    from rerankit.pictures import open_image

    picture = open_image(item, f"{side} {row}")
    return hashlib.sha256(f"{picture.size}".encode() + picture.tobytes()).hexdigest()
