"""What is ranked and judged by name, in any form, as evaluation takes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.adapters import table_of
from rerankit.adapters.sparse import is_sparse
from rerankit.adapters.stored import is_stored
from rerankit.lines import Judged, judged_alike, judgements_of, lines_of
from rerankit.metrics.sources import opened
from rerankit.pairs import Pairs
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.scores import ListScores
from rerankit.triples import natural, to_dict


def ranked_of(ranked: Any) -> Any:
    """A run of any form as dictionaries, a data frame with labels as a problem with ids, anything else as it is."""
    if isinstance(ranked, np.ndarray | Ranking | Problem):
        return ranked
    if isinstance(ranked, dict) and all(type(items) is dict for items in ranked.values()):
        return ranked
    if is_stored(ranked) or is_sparse(ranked):
        return Problem(ranked)
    table = table_of(ranked)
    lines = lines_of(ranked if table is None else table, "scores", "run")
    if lines is not None:
        return to_dict(lines)
    return ranked if table is None else Problem(table)


def judged_of(relevance: Any) -> Any:
    """Qrels of any form as dictionaries, anything else as it is."""
    if isinstance(relevance, np.ndarray | Relevance):
        return relevance
    found = judgements_of(relevance, "relevance")
    return relevance if found is None else found


def knowing(ranked: Any, qrels: Judged) -> tuple[Any, Judged]:
    """A ranking or lists with ids, whose gallery has the judged items too: what no list holds was not found; and the
    judgements by these ids.

    Where none of the judged items is known the ids are of another kind, and the ranking stays as it is.
    """
    qrels = judged_alike(qrels, getattr(ranked, "query_ids", None), getattr(ranked, "gallery_ids", None))
    lists = isinstance(ranked, Problem) and isinstance(ranked.scores, ListScores)
    ids = ranked.gallery_ids if lists or isinstance(ranked, Ranking) else None
    if ids is None:
        return ranked, qrels
    known, judged = set(ids.tolist()), {item for items in qrels.values() for item in items}
    more = natural(judged - known)
    if not more or not judged & known:
        return ranked, qrels
    source: Ranking = opened(ranked)
    size, out = len(ids) + len(more), ranked.excluded
    whole = Ranking(
        source.indices,
        source.scores,
        gallery_size=size,
        query_ids=ranked.query_ids,
        gallery_ids=[*ids.tolist(), *more],
        exclude=None if out is None else Pairs(out.rows, out.indices, (len(source), size)),
    )
    return whole, qrels
