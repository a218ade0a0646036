"""Scores of any form as named arrays, and back: a matrix is `NAME`, other forms have several parts, `NAME/PART`.

| form | parts |
| --- | --- |
| a matrix | `NAME` |
| top-k lists | `NAME/indices`, `NAME/scores`, `NAME/columns` |
| embeddings | `NAME/queries`, `NAME/gallery`, `NAME/metric` |
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import InputError
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Scores

PARTS = ("indices", "scores", "columns", "queries", "gallery", "metric")
_FORMS: tuple[frozenset[str], ...] = (frozenset(PARTS[:3]), frozenset(PARTS[3:]))


def from_scores(name: str, scores: Scores) -> dict[str, AnyArray]:
    """The arrays of scores, in the form they have."""
    if isinstance(scores, EmbeddingScores):
        parts = {"queries": scores.queries, "gallery": scores.gallery, "metric": np.array(scores.metric)}
        return {f"{name}/{part}": array for part, array in parts.items()}
    if scores.complete:
        return {name: scores.rows()}
    indices, values = listed(scores)
    return {f"{name}/indices": indices, f"{name}/scores": values, f"{name}/columns": np.array(scores.shape[1])}


def to_scores(name: str, tables: Mapping[str, AnyArray]) -> Scores | None:
    """The scores of a name, or None where there are none."""
    parts = {part: tables[f"{name}/{part}"] for part in PARTS if f"{name}/{part}" in tables}
    if not parts:
        return DenseScores(tables[name], name) if name in tables else None
    if name in tables or frozenset(parts) not in _FORMS:
        found = [*([name] if name in tables else []), *(f"{name}/{part}" for part in parts)]
        forms = f"a matrix, lists ({', '.join(PARTS[:3])}) or vectors ({', '.join(PARTS[3:])})"
        raise InputError(f"'{name}' must be {forms} (got {', '.join(found)})")
    if "indices" in parts:
        return ListScores(parts["indices"], parts["scores"], int(parts["columns"]), f"{name}/indices")
    return EmbeddingScores(parts["queries"], parts["gallery"], str(parts["metric"]))  # type: ignore[arg-type]


def listed(scores: Scores) -> tuple[AnyArray, AnyArray]:
    """All that incomplete scores hold: indices and scores (rows, longest list)."""
    if not isinstance(scores, ListScores):
        return scores.topk(scores.shape[1])
    return scores.topk(max(1, int(np.diff(scores.starts).max(initial=0))))
