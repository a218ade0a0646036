"""Answers of a gallery that stands ready, for candidates that another library found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rerankit.pipelines.ready import Ready
from rerankit.ranking import Ranking


def answered(ready: Ready, first: Ranking, vectors: Any, texts: Sequence[str] | None) -> Ranking:
    """The candidates of `first`, known by the gallery's ids, in the order of `ready`.

    vectors (queries, d): of the queries, or None where the scores of `first` are all that is known. texts: the feature
    `text` of the queries.
    """
    lists = first.to_dict()
    return ready.rerank(
        None if ready.gallery.embeddings is None else vectors,
        candidates=[list(items) for items in lists.values()],
        scores=[list(items.values()) for items in lists.values()],
        ids=list(lists),
        features=None if texts is None else {"text": list(texts)},
        k=None,
    )
