"""Problems, rankings and relevance as named arrays, and back: the layout that folders, npz, … share.

| object | arrays |
| --- | --- |
| problem | `scores`; `distances`; `queries`, `gallery`, `metric`; or `indices`, `scores`, `gallery_size`, `metric` |
| … relations | `query_scores`, `gallery_scores` (or `query_distances`, `gallery_distances`) |
| … ids | `query_ids`, `gallery_ids` |
| … further scores | `extra_scores/NAME` |
| … features | `query_features/NAME`, `gallery_features/NAME`; kinds of several parts `…/NAME/PART` |
| … items left out | `excluded/indptr`, `excluded/indices` |
| … banks | `query_bank/to_gallery`, `…/to_queries`, `…/to_bank`, or vectors as `query_bank`; `gallery_bank` alike |
| relevance, alone or beside a problem | `relevance/indptr`, `…/indices`, `…/grades`, `…/shape`, |
| | or a matrix of grades `relevance`, or `query_labels` and `gallery_labels` |
| … items left out | `relevance/excluded_indptr`, `relevance/excluded_indices` |
| ranking | `indices`, `scores`, `gallery_size`, ids, items left out, `notes` |
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.bank import Bank
from rerankit.errors import InputError, UnknownNameError
from rerankit.features import Feature, feature_arrays, feature_from
from rerankit.formats import judgements
from rerankit.formats.content import Tables
from rerankit.formats.notes import from_notes, to_notes
from rerankit.formats.scores import PARTS, from_scores, listed, to_scores
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.scores import EmbeddingScores, Scores
from rerankit.sides import SIDES

IDS = ("query_ids", "gallery_ids")
BANK_PARTS = ("to_gallery", "to_queries", "to_bank")


def _names_of(names: Iterable[str]) -> list[str]:
    """Every name that scores of any form may have."""
    return [full for name in names for full in (name, *(f"{name}/{part}" for part in PARTS))]


RANKING_NAMES = {"kind", "indices", "scores", "gallery_size", "notes", *IDS, *judgements.LEFT_OUT}
PROBLEM_NAMES = RANKING_NAMES | {
    "distances", "query_distances", "gallery_distances", "queries", "gallery", "metric",
    *(f"{side}_bank" for side in SIDES), *_names_of(f"{side}_scores" for side in SIDES),
    *_names_of(f"{side}_bank/{part}" for side in SIDES for part in BANK_PARTS),
}  # fmt: skip
KINDS = ("problem", "ranking", "relevance", "tables")
SCORE_SOURCES = ("scores", "distances", "queries")


def natural_kind(tables: Tables) -> str:
    """What named arrays are: the `kind` they say, or else by their names; "tables" when they are none of ours."""
    if "kind" in tables:
        return checks.choice("kind", text(tables, "kind"), KINDS)
    names = set(tables)
    if {"indices", "scores"} <= names <= RANKING_NAMES:
        return "ranking"
    if any(name in names for name in SCORE_SOURCES):
        return "problem"
    if names and names <= judgements.NAMES:
        return "relevance"
    return "tables"


def text(tables: Tables, name: str) -> str:
    """A named array that is one text."""
    if tables[name].size != 1 or tables[name].dtype.kind not in "US":
        raise InputError(f"'{name}' must be one text (got {tables[name].dtype}, shape {tables[name].shape})")
    return str(tables[name].reshape(-1)[0])


def to_problem(tables: Tables) -> Problem:
    """The problem that named arrays describe; relevance beside it must have its shape."""
    problem = _problem(tables)
    shape = judgements.shape_of(tables)
    if shape is not None and shape != problem.shape:
        raise InputError(f"'relevance' must have the problem's shape {problem.shape} (got {shape})")
    return problem


def _problem(tables: Tables) -> Problem:
    _check_names(tables)
    sources = [name for name in SCORE_SOURCES if name in tables]
    if len(sources) != 1:
        raise InputError(
            f"a problem has exactly one of scores, distances, queries + gallery (got {', '.join(sorted(tables))})"
        )
    _refuse_contradictions(tables, sources[0])
    rest: dict[str, Any] = {name: tables[name] for name in IDS if name in tables}
    rest |= {f"{side}_features": _features(tables, side) for side in SIDES}
    rest["extra_scores"] = _extra(tables)
    rest["exclude"] = judgements.to_left_out(tables)
    if sources == ["distances"]:
        own = {name: tables[name] for name in ("query_distances", "gallery_distances") if name in tables}
        return Problem.from_distances(tables["distances"], **own, **_banks(tables), **rest)
    rest |= _relations(tables)
    if sources == ["queries"]:
        return _from_embeddings(tables, rest)
    rest |= _banks(tables)
    if "indices" in tables:
        rest["metric"] = text(tables, "metric") if "metric" in tables else None
        return Problem.from_rankings(tables["indices"], tables["scores"], _gallery_size(tables), **rest)
    return Problem(tables["scores"], **rest)


def from_problem(problem: Problem, relevance: Relevance | None = None) -> Tables:
    """Named arrays for a problem, and for its relevance when given."""
    tables = Tables(kind=np.array("problem"))
    scores = problem.scores
    if isinstance(scores, EmbeddingScores):
        tables |= {"queries": scores.queries, "gallery": scores.gallery, "metric": np.array(scores.metric)}
    elif scores.complete:
        tables["scores"] = scores.rows()
    else:
        indices, values = listed(scores)
        tables |= {"indices": indices, "scores": values, "gallery_size": np.array(scores.shape[1])}
    for side in SIDES:
        items = problem.queries if side == "query" else problem.gallery
        if items.ids is not None:
            tables[f"{side}_ids"] = items.ids.values
        if items.scores is not None and not items.computed:  # what embeddings can compute is not written
            tables |= from_scores(f"{side}_scores", items.scores)
        tables |= _from_bank(f"{side}_bank", items.bank, scores)
        for name, feature in items.features.items():
            tables |= feature_arrays(f"{side}_features/{name}", feature)
    for name, extra in problem.extra_scores.items():
        tables |= from_scores(f"extra_scores/{name}", extra)
    tables |= judgements.from_left_out(problem.excluded)
    if relevance is not None:
        tables |= judgements.from_relevance(relevance)
    return tables


def more_than_scores(problem: Problem) -> list[str]:
    """What a problem has that one matrix of scores cannot tell, in words; nothing when it is just a matrix."""
    if isinstance(problem.scores, EmbeddingScores):
        return ["embeddings in place of a matrix"]
    if not problem.scores.complete:
        return ["top-k lists in place of a matrix"]
    sides = {"query": problem.queries, "gallery": problem.gallery}
    whats = ("scores", "ids", "bank")
    kept = [f"{name}_{what}" for what in whats for name, side in sides.items() if getattr(side, what) is not None]
    kept += [] if problem.excluded is None else ["items left out"]
    kept += [f"extra scores '{name}'" for name in problem.extra_scores]
    return [*kept, *(f"the feature '{name}'" for side in sides.values() for name in side.features)]


def to_ranking(tables: Tables) -> Ranking:
    """The ranking that named arrays describe."""
    missing = [name for name in ("indices", "scores") if name not in tables]
    if missing:
        raise InputError(f"a ranking needs {' and '.join(missing)} (got {', '.join(sorted(tables))})")
    size = _gallery_size(tables) if "gallery_size" in tables else None
    ids: dict[str, Any] = {name: tables[name] for name in IDS if name in tables}
    return Ranking(
        tables["indices"],
        tables["scores"],
        gallery_size=size,
        exclude=judgements.to_left_out(tables),
        notes=to_notes(text(tables, "notes")) if "notes" in tables else None,
        **ids,
    )


def from_ranking(ranking: Ranking) -> Tables:
    """Named arrays for a ranking."""
    tables = Tables(kind=np.array("ranking"), indices=ranking.indices, scores=ranking.scores)
    tables["gallery_size"] = np.array(ranking.gallery_size)
    for name in IDS:
        ids = getattr(ranking, name)
        if ids is not None:
            tables[name] = ids.values
    return Tables(tables | judgements.from_left_out(ranking.excluded) | from_notes(ranking.notes))


def _check_names(tables: Tables) -> None:
    known = PROBLEM_NAMES | judgements.NAMES
    named = (*(f"{side}_features/" for side in SIDES), "extra_scores/")
    for name in tables:
        # An array under a misspelt name must not be passed over in silence.
        if name not in known and not name.startswith(named):
            near = difflib.get_close_matches(name, [*known, *(f"{prefix}NAME" for prefix in named)], n=1)
            hint = f" did you mean '{near[0]}'?" if near else ""
            alone = "; the only array of a file is taken by read(path, 'array'), or rerankit convert --as array"
            raise UnknownNameError(
                f"unknown array '{name}';{hint} a file of arrays has 'scores' (queries, gallery; higher is better), "
                "'distances', or the vectors 'queries' and 'gallery', and what goes with them (docs/formats.md)"
                f"{alone if len(tables) == 1 else ''}"
            )


def _refuse_contradictions(tables: Tables, source: str) -> None:
    """Refuse arrays that this kind of problem would pass over in silence."""
    unfit = {
        "scores": {"query_distances", "gallery_distances", "gallery", *([] if "indices" in tables else ["metric"])},
        "distances": {"query_scores", "gallery_scores", "gallery", "metric", "indices"},
        "queries": {"query_distances", "gallery_distances", "indices"},
    }[source]
    found = sorted(unfit & set(tables))
    if found:
        raise InputError(f"{', '.join(found)} cannot go with '{source}' in a problem: it would not be used")


def _relations(tables: Tables) -> dict[str, Scores]:
    found = {f"{side}_scores": to_scores(f"{side}_scores", tables) for side in SIDES}
    return {name: scores for name, scores in found.items() if scores is not None}


def _features(tables: Tables, side: str) -> dict[str, Feature]:
    parts: dict[str, dict[str, AnyArray]] = {}
    for name in tables:
        if name.startswith(f"{side}_features/"):
            feature, _, part = name.partition("/")[2].partition("/")
            parts.setdefault(feature, {})[part] = tables[name]
    return {name: feature_from(name, arrays, f"{side}_features/{name}") for name, arrays in parts.items()}


def _extra(tables: Tables) -> dict[str, Scores | None]:
    names = dict.fromkeys(name.split("/")[1] for name in tables if name.startswith("extra_scores/"))
    return {name: to_scores(f"extra_scores/{name}", tables) for name in names}


def _from_embeddings(tables: Tables, rest: dict[str, Any]) -> Problem:
    if "gallery" not in tables:
        raise InputError(f"'queries' needs 'gallery', too (got {', '.join(sorted(tables))})")
    metric = text(tables, "metric") if "metric" in tables else "cosine"
    vectors = {f"{side}_bank": tables[f"{side}_bank"] for side in SIDES if f"{side}_bank" in tables}
    made = Problem.from_embeddings(tables["queries"], tables["gallery"], metric, **vectors, **rest)  # type: ignore[arg-type]
    return made.with_banks(**_banks(tables))


def _banks(tables: Tables) -> dict[str, Bank]:
    banks = {}
    for side in SIDES:
        parts = {part: to_scores(f"{side}_bank/{part}", tables) for part in BANK_PARTS}
        if any(part is not None for part in parts.values()):
            banks[f"{side}_bank"] = Bank(**parts)
        elif f"{side}_bank" in tables and "queries" not in tables:
            raise InputError(f"'{side}_bank' as vectors needs 'queries' and 'gallery' vectors, too")
    return banks


def _from_bank(name: str, bank: Bank | None, scores: Scores) -> Tables:
    if bank is None:
        return Tables()
    parts = {part: getattr(bank, part) for part in BANK_PARTS}
    if isinstance(scores, EmbeddingScores) and all(isinstance(given, EmbeddingScores) for given in parts.values()):
        return Tables({name: parts["to_gallery"].queries})
    tables = Tables()
    for part, given in parts.items():
        tables |= Tables() if given is None else from_scores(f"{name}/{part}", given)
    return tables


def _gallery_size(tables: Tables) -> int:
    if "gallery_size" in tables:
        return int(_one_integer(tables["gallery_size"]))
    if "gallery_ids" in tables:
        return len(tables["gallery_ids"])
    raise InputError("lists ('indices' and 'scores') need 'gallery_size' or 'gallery_ids' to be a problem")


def _one_integer(array: AnyArray) -> AnyArray:
    if array.size != 1 or array.dtype.kind not in "iu":
        raise InputError(f"'gallery_size' must be one integer (got {array.dtype}, shape {array.shape})")
    return array.reshape(-1)[0]  # type: ignore[no-any-return]
