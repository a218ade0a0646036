"""Training examples: (query, target) pairs with their texts, pictures and known right answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rerankit import settings
from rerankit.errors import InputError
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance, agreeing
from rerankit.stages.triplet.bundle import Bundle
from rerankit.stages.triplet.features import ArrayTokens, ImageTokens
from rerankit.stages.triplet.reading import Reading
from rerankit.stages.triplet.representation import image_source, token_ids
from rerankit.stages.triplet.text import TextTokenizer, caption_variants

IntArray = NDArray[np.int64]


class TextBatches:
    """Token ids of every query's text; of two captions, one of four forms is drawn each time."""

    def __init__(self, problem: Problem, bundle: Bundle, reading: Reading) -> None:
        self.forms: list[list[Tensor]]
        if "text_ids" in problem.query_features or bundle.words is None:
            ids, mask = token_ids(problem, bundle, reading, np.arange(problem.shape[0]))
            self.forms = [[row[:length]] for row, length in zip(ids, mask.sum(1).tolist(), strict=True)]
            return
        texts = [[t] if isinstance(t, str) else list(caption_variants(t)) for t in problem.query_features["text"]]
        longest = min(reading.max_tokens, bundle.filter.config.positions)
        ids_, mask_ = TextTokenizer(bundle.words, max_tokens=longest)([form for forms in texts for form in forms])
        rows = iter(torch.from_numpy(row[:n]) for row, n in zip(ids_, mask_.sum(1).tolist(), strict=True))
        self.forms = [[next(rows) for _ in forms] for forms in texts]

    def batch(self, rows: IntArray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Ids and mask (len(rows), T)."""
        drawn = []
        for row in rows.tolist():
            forms = self.forms[row]
            drawn.append(forms[int(torch.randint(len(forms), (1,), generator=generator))])
        ids = nn.utils.rnn.pad_sequence(drawn, batch_first=True)
        lengths = torch.tensor([len(row) for row in drawn])
        return ids, (torch.arange(ids.shape[1]) < lengths[:, None]).long()


class PictureBatches:
    """Image tokens of one side for training: with gradients through the encoder, or frozen and kept."""

    def __init__(
        self, problem: Problem, side: str, bundle: Bundle, reading: Reading, *, tuned: nn.Module | None
    ) -> None:
        source = image_source(problem, side, bundle, reading)
        if tuned is not None and not isinstance(source, ImageTokens):
            raise InputError(f"tuning the image encoder needs '{side}_images' (got '{side}_tokens')")
        self.source: Any = source
        self.tuned = tuned
        self._room = settings.memory_budget()
        self._kept: dict[int, Tensor] = {}

    def __call__(self, rows: IntArray, device: torch.device) -> Tensor:
        """(len(rows), P, width)."""
        if self.tuned is not None:
            pixels = torch.stack(self._recall(rows, self._pixels)).to(device)
            return cast(Tensor, self.tuned(pixel_values=pixels).last_hidden_state)
        if isinstance(self.source, ArrayTokens):
            return self.source.tokens(rows).to(device)
        return torch.stack([kept.float() for kept in self._recall(rows, self._tokens)]).to(device)

    def _recall(self, rows: IntArray, make: Any) -> list[Tensor]:
        """What `make` gives for each row, kept in memory as far as the budget goes."""
        new = [row for row in dict.fromkeys(rows.tolist()) if row not in self._kept]
        made = dict(zip(new, make(np.array(new, np.int64)), strict=True)) if new else {}
        for row, value in made.items():
            self._room -= value.nbytes
            if self._room > 0:
                self._kept[row] = value
        return [self._kept[row] if row in self._kept else made[row] for row in rows.tolist()]

    def _pixels(self, rows: IntArray) -> list[Tensor]:
        source: ImageTokens = self.source
        return [source.transform(source.images[row], f"{source.kind} {row}") for row in rows.tolist()]

    def _tokens(self, rows: IntArray) -> list[Tensor]:
        return list(self.source.tokens(rows).half().clone())


class Examples:
    """Every (query, right item) of a relevance, one example each."""

    def __init__(self, problem: Problem, relevance: Relevance) -> None:
        relevance = agreeing("relevance", relevance, problem.shape, problem.excluded)
        good = relevance.grades > 0
        self.queries: IntArray = relevance.rows[good].astype(np.int64)
        self.targets: IntArray = relevance.indices[good].astype(np.int64)
        if not len(self.queries):
            raise InputError("'relevance' names no right item, so there is nothing to train on")
        self._right = set(zip(self.queries.tolist(), self.targets.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.queries)

    def wrong(self, queries: IntArray, items: IntArray) -> Tensor:
        """(len(queries), len(items)) true where an item is not known to be right."""
        rows = [[(query, item) not in self._right for item in items.tolist()] for query in queries.tolist()]
        return torch.tensor(rows, dtype=torch.bool)

    def hard(self, candidates: Ranking, queries: IntArray, count: int, generator: torch.Generator) -> IntArray:
        """`count` wrong candidates for each query (queries, count), drawn from its first-stage list."""
        out = np.empty((len(queries), count), np.int64)
        for place, query in enumerate(queries.tolist()):
            mine = [c for c in candidates.indices[query].tolist() if c >= 0 and (query, c) not in self._right]
            if not mine:
                raise InputError(f"query {query} has no wrong candidate to learn from; take a larger K")
            out[place] = np.array(mine)[torch.randint(len(mine), (count,), generator=generator).numpy()]
        return out


def recall_at_1(ranking: Ranking, relevance: Relevance) -> float:
    """Share of queries whose first item is right, items that are left out not counted."""
    found = 0
    for query, items in enumerate(ranking.indices.tolist()):
        right, _, out = relevance.of(query)
        first = next((item for item in items if item not in out), -1)
        found += first in right
    return found / len(ranking)


def vocabulary_of(problems: Sequence[Problem]) -> tuple[str, ...]:
    """The words of the problems' texts, for a model trained from scratch."""
    texts: list[str] = []
    for problem in track(problems, "collecting the vocabulary"):
        for text in problem.query_features["text"]:
            texts += [text] if isinstance(text, str) else list(text)
    return tuple(TextTokenizer.from_texts([*texts, "and"]).words)
