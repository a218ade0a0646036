"""Any cross-encoder as a stage: sentence-transformers' CrossEncoder, or BLIP image-text matching."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.errors import InputError, StageError, rule
from rerankit.events import track
from rerankit.features import Feature
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.seams import promote
from rerankit.training.settings import PRECISIONS

if TYPE_CHECKING:
    from rerankit.stages.cross_encoder.pair_models import PairModel


class CrossEncoder(Stage):
    """Scores every (query, candidate) pair by a model that reads both together.

    `model` is a folder, a name on the hub, or a loaded model: a sentence-transformers CrossEncoder, or a
    transformers `BlipForImageTextRetrieval` (its matching head; `processor` then names its tokenizer). The
    problem's features `query` and `candidate` name what is read of each: texts, or pictures (PIL, arrays,
    paths; in a feature whose name ends in "images" a string is a path too). Pairs go through the model sorted
    by length, `batch_size` at a time; `cache_size` scores of pairs are kept, so that a second run asks only
    for new pairs. `on_error` "skip" leaves a query or candidate that cannot be read where it was and lists it
    in the ranking's notes under "cross-encoder".

    >>> CrossEncoder("cross-encoder/ms-marco-MiniLM-L6-v2", batch_size=64)
    stage('cross-encoder', model='cross-encoder/ms-marco-MiniLM-L6-v2', batch_size=64)
    """

    name: ClassVar[str] = "cross-encoder"
    outside: ClassVar[tuple[str, ...]] = ("model", "processor")
    citation: ClassVar[str] = (
        "Reimers, Gurevych: Sentence-BERT. EMNLP 2019 (CrossEncoder). "
        "Li, Li, Xiong, Hoi: BLIP. ICML 2022 (image-text matching)."
    )

    def __init__(
        self,
        model: Any,
        *,
        processor: Any = None,
        query: str = "text",
        candidate: str = "text",
        batch_size: int = 32,
        max_tokens: int | None = None,
        precision: str = "float32",
        device: str = "auto",
        cache_size: int = 1_000_000,
        on_error: str = "raise",
    ) -> None:
        if isinstance(model, (int, float, bool)) or model is None:
            raise rule("model", "must be a folder, a name on the hub, or a loaded model", model)
        self.model, self.processor = model, processor
        self.query, self.candidate = query, candidate
        self.batch_size = checks.integer("batch_size", batch_size, least=1)
        self.max_tokens = max_tokens if max_tokens is None else checks.integer("max_tokens", max_tokens, least=3)
        self.precision = checks.choice("precision", precision, PRECISIONS)
        self.device = device
        self.cache_size = checks.integer("cache_size", cache_size, least=0)
        self.on_error = checks.choice("on_error", on_error, ("raise", "skip"))
        self._pairs: PairModel | None = None
        self._kept: OrderedDict[tuple[str, str], float] = OrderedDict()

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"query_features:{self.query}", f"gallery_features:{self.candidate}")

    def rescore(self, problem: Problem, ranking: Ranking) -> AnyArray:
        scores, _ = self._read_and_score(problem, ranking, skip=False)
        return np.where(ranking.mask, scores, -np.inf)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        if self.on_error == "raise":
            return super().reorder(problem, ranking)
        scores, skipped = self._read_and_score(problem, ranking, skip=True)
        return promote(ranking, scores).with_notes(**{self.name: skipped})

    def _read_and_score(
        self, problem: Problem, ranking: Ranking, *, skip: bool
    ) -> tuple[FloatArray, dict[str, dict[int, str]]]:
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
        new = [place for place, key in enumerate(keys) if key not in known]
        fresh = self._score([(queries[rows[n]], candidates[columns[n]]) for n in new], [keys[n] for n in new])
        found = np.array([known.get(key, np.nan) for key in keys], np.float32)
        found[new] = fresh
        self._forget()
        scores = np.full(ranking.shape, np.nan, np.float32)
        scores[rows, places] = found
        return scores, {"skipped_queries": lost, "skipped_candidates": gone}

    def _score(self, pairs: list[tuple[Any, Any]], keys: list[tuple[str, str]]) -> FloatArray:
        """Scores of pairs, longest texts first, so that a batch holds pairs of about one length."""
        out = np.zeros(len(pairs), np.float32)
        if not pairs:
            return out
        if self._pairs is None:
            from rerankit.stages.cross_encoder.pair_models import load_pair_model

            self._pairs = load_pair_model(self.model, self.processor, self.precision, self.device, self.max_tokens)
        order = self._order(pairs, keys)
        for at in track(range(0, len(order), self.batch_size), "scoring pairs"):
            batch = order[at : at + self.batch_size]
            out[batch] = self._pairs.score([pairs[n] for n in batch.tolist()])
        if not np.isfinite(out).all():
            raise StageError("stage 'cross-encoder' gave a score that is not finite; try precision='float32'")
        for key, score in zip(keys, out.tolist(), strict=True):
            self._kept[key] = score
        return out

    def _order(self, pairs: list[tuple[Any, Any]], keys: list[tuple[str, str]]) -> IntArray:
        lengths = np.array([_length(one) + _length(other) for one, other in pairs])
        if isinstance(pairs[0][1], str):
            return np.argsort(-lengths, kind="stable")
        # Pairs of one picture come together, so that it is encoded once.
        names = np.unique([key[1] for key in keys], return_inverse=True)[1]
        return np.lexsort((-lengths, names))

    def _forget(self) -> None:
        while len(self._kept) > self.cache_size:
            with suppress(KeyError):  # another thread may have forgotten the last one
                self._kept.popitem(last=False)


def _length(item: Any) -> int:
    return len(item) if isinstance(item, str) else 0


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
