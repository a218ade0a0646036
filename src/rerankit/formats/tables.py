"""Problems, rankings and relevance as named arrays, and back: the layout that folders, npz, … share.

| object | arrays |
| --- | --- |
| problem | `scores`; `distances`; `queries`, `gallery`, `metric`; or `indices`, `scores`, `gallery_size` |
| … relations | `query_scores`, `gallery_scores` (or `query_distances`, `gallery_distances`) |
| … ids | `query_ids`, `gallery_ids` |
| … features | `query_features/NAME`, `gallery_features/NAME` |
| … items left out | `excluded/indptr`, `excluded/indices` |
| … banks | `query_bank/to_gallery`, `…/to_queries`, `…/among`, or vectors as `query_bank`; `gallery_bank` alike |
| relevance, alone or beside a problem | `relevance/indptr`, `…/indices`, `…/grades`, `…/shape`, |
| | or a matrix of grades `relevance`, or `query_labels` and `gallery_labels` |
| … items left out | `relevance/excluded_indptr`, `relevance/excluded_indices` |
| ranking | `indices`, `scores`, `gallery_size`, ids, items left out |
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.bank import Bank
from rerankit.errors import InputError, unknown_name
from rerankit.formats.content import Tables
from rerankit.pairs import Pairs
from rerankit.problem import Feature, Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.scores import EmbeddingScores, ListScores, Scores

SIDES: tuple[Literal["query", "gallery"], ...] = ("query", "gallery")
IDS = ("query_ids", "gallery_ids")
BANK_PARTS = ("to_gallery", "to_queries", "among")
LEFT_OUT = ("excluded/indptr", "excluded/indices")
RANKING_NAMES = {"kind", "indices", "scores", "gallery_size", *IDS, *LEFT_OUT}
RELEVANCE_NAMES = {
    "kind", "relevance", "query_labels", "gallery_labels", "relevance/indptr", "relevance/indices",
    "relevance/grades", "relevance/shape", "relevance/excluded_indptr", "relevance/excluded_indices",
}  # fmt: skip
PROBLEM_NAMES = RANKING_NAMES | {
    "distances", "query_distances", "gallery_distances", "query_scores", "gallery_scores", "queries", "gallery",
    "metric", *(f"{side}_bank{part}" for side in SIDES for part in ("", *(f"/{part}" for part in BANK_PARTS))),
}  # fmt: skip
KINDS = ("problem", "ranking", "relevance", "tables")
SCORE_SOURCES = ("scores", "distances", "queries")


def natural_kind(tables: Tables) -> str:
    """What named arrays are: the `kind` they say, or else by their names; "tables" when they are none of ours."""
    if "kind" in tables:
        said = text(tables, "kind")
        if said not in KINDS:
            raise unknown_name("kind", said, KINDS)
        return said
    names = set(tables)
    if {"indices", "scores"} <= names <= RANKING_NAMES:
        return "ranking"
    if any(name in names for name in SCORE_SOURCES):
        return "problem"
    if names and names <= RELEVANCE_NAMES:
        return "relevance"
    return "tables"


def has_relevance(tables: Tables) -> bool:
    """Whether there is relevance, alone or beside a problem."""
    return any(name in RELEVANCE_NAMES - {"kind"} for name in tables)


def text(tables: Tables, name: str) -> str:
    """A named array that is one text."""
    if tables[name].size != 1 or tables[name].dtype.kind not in "US":
        raise InputError(f"'{name}' must be one text (got {tables[name].dtype}, shape {tables[name].shape})")
    return str(tables[name].reshape(-1)[0])


def to_problem(tables: Tables) -> Problem:
    """The problem that named arrays describe; relevance beside it must have its shape."""
    problem = _problem(tables)
    shape = _relevance_shape(tables)
    if shape is not None and shape != problem.shape:
        raise InputError(f"'relevance' must have the problem's shape {problem.shape} (got {shape})")
    return problem


def _relevance_shape(tables: Tables) -> tuple[int, ...] | None:
    if "relevance" in tables:
        return tables["relevance"].shape
    if "query_labels" in tables and "gallery_labels" in tables:
        return len(tables["query_labels"]), len(tables["gallery_labels"])
    return tuple(int(size) for size in tables["relevance/shape"]) if "relevance/shape" in tables else None


def _problem(tables: Tables) -> Problem:
    _check_names(tables)
    sources = [name for name in SCORE_SOURCES if name in tables]
    if len(sources) != 1:
        raise InputError(
            f"a problem has exactly one of scores, distances, queries + gallery (got {', '.join(sorted(tables))})"
        )
    _refuse_contradictions(tables, sources[0])
    rest: dict[str, Any] = {name: tables[name] for name in IDS if name in tables}
    rest["features"] = _features(tables)
    rest["exclude"] = _left_out(tables)
    if sources == ["distances"]:
        return Problem.from_distances(tables["distances"], **_given(tables, "distances"), **_banks(tables), **rest)
    rest |= _given(tables, "scores")
    if sources == ["queries"]:
        return _from_embeddings(tables, rest)
    rest |= _banks(tables)
    if "indices" in tables:
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
        indices, values = scores.topk(_longest_list(scores))
        tables |= {"indices": indices, "scores": values, "gallery_size": np.array(scores.shape[1])}
    for side in SIDES:
        items = problem.queries if side == "query" else problem.gallery
        if items.ids is not None:
            tables[f"{side}_ids"] = items.ids.values
        if items.scores is not None and not items.computed:  # what embeddings can compute is not written
            tables[f"{side}_scores"] = items.scores.rows()
        tables |= _bank_arrays(f"{side}_bank", getattr(problem, f"{side}_bank"), scores)
    for name, values in problem.features.items():
        tables[f"{problem.feature_sides[name]}_features/{name}"] = np.asarray(values)
    tables |= _from_left_out(problem.excluded)
    if relevance is not None:
        tables |= from_relevance(relevance)
    return tables


def beside_scores(problem: Problem) -> list[str]:
    """What a problem has that one matrix of scores cannot tell, in words; nothing when it is just a matrix."""
    if isinstance(problem.scores, EmbeddingScores):
        return ["embeddings in place of a matrix"]
    if not problem.scores.complete:
        return ["top-k lists in place of a matrix"]
    sides = {"query": problem.queries, "gallery": problem.gallery}
    whats = ("scores", "ids", "bank")
    kept = [f"{name}_{what}" for what in whats for name, side in sides.items() if getattr(side, what) is not None]
    kept += [] if problem.excluded is None else ["items left out"]
    return [*kept, *(f"the feature '{name}'" for name in problem.features)]


def to_ranking(tables: Tables) -> Ranking:
    """The ranking that named arrays describe."""
    missing = [name for name in ("indices", "scores") if name not in tables]
    if missing:
        raise InputError(f"a ranking needs {' and '.join(missing)} (got {', '.join(sorted(tables))})")
    size = _gallery_size(tables) if "gallery_size" in tables else None
    ids: dict[str, Any] = {name: tables[name] for name in IDS if name in tables}
    return Ranking(tables["indices"], tables["scores"], gallery_size=size, exclude=_left_out(tables), **ids)


def from_ranking(ranking: Ranking) -> Tables:
    """Named arrays for a ranking."""
    tables = Tables(kind=np.array("ranking"), indices=ranking.indices, scores=ranking.scores)
    tables["gallery_size"] = np.array(ranking.gallery_size)
    for name in IDS:
        ids = getattr(ranking, name)
        if ids is not None:
            tables[name] = ids.values
    return Tables(tables | _from_left_out(ranking.excluded))


def to_relevance(tables: Tables) -> Relevance:
    """The relevance that named arrays describe, alone or beside a problem."""
    if "relevance" in tables:
        return Relevance.from_dense(tables["relevance"])
    if "query_labels" in tables and "gallery_labels" in tables:
        return Relevance.from_labels(tables["query_labels"], tables["gallery_labels"])
    needed = ("indptr", "indices", "shape")
    missing = [f"relevance/{name}" for name in needed if f"relevance/{name}" not in tables]
    if missing:
        raise InputError(
            f"relevance is a matrix 'relevance', or query_labels + gallery_labels, or relevance/indptr, "
            f"relevance/indices and relevance/shape (got {', '.join(sorted(tables))})"
        )
    shape = [int(size) for size in tables["relevance/shape"]]
    rows, columns = _cells(tables, "relevance/indptr", "relevance/indices", shape[0])
    out = None
    if "relevance/excluded_indptr" in tables:
        out = _cells(tables, "relevance/excluded_indptr", "relevance/excluded_indices", shape[0])
    return Relevance(rows, columns, (shape[0], shape[1]), tables.get("relevance/grades"), exclude=out)


def from_relevance(relevance: Relevance) -> Tables:
    """Named arrays for relevance."""
    tables = Tables(
        {f"relevance/{name}": getattr(relevance, name) for name in ("indptr", "indices", "grades")},
    )
    tables["relevance/shape"] = np.array(relevance.shape)
    if len(relevance.excluded):
        tables["relevance/excluded_indptr"] = relevance.excluded.indptr
        tables["relevance/excluded_indices"] = relevance.excluded.indices
    return tables


def _left_out(tables: Tables) -> tuple[AnyArray, AnyArray] | None:
    if not any(name in tables for name in LEFT_OUT):
        return None
    missing = [name for name in LEFT_OUT if name not in tables]
    if missing:
        raise InputError(f"items left out are {' and '.join(LEFT_OUT)} (got no {missing[0]})")
    return _cells(tables, *LEFT_OUT, len(tables[LEFT_OUT[0]]) - 1)


def _from_left_out(excluded: Pairs | None) -> Tables:
    return Tables() if excluded is None else Tables(zip(LEFT_OUT, (excluded.indptr, excluded.indices), strict=True))


def _check_names(tables: Tables) -> None:
    known = PROBLEM_NAMES | RELEVANCE_NAMES
    features = tuple(f"{side}_features/" for side in SIDES)
    for name in tables:
        # An array under a misspelt name must not be passed over in silence.
        if name not in known and not name.startswith(features):
            raise unknown_name("array", name, known | {f"{prefix}NAME" for prefix in features})


def _refuse_contradictions(tables: Tables, source: str) -> None:
    """Refuse arrays that this kind of problem would pass over in silence."""
    unfit = {
        "scores": {"query_distances", "gallery_distances", "gallery", "metric"},
        "distances": {"query_scores", "gallery_scores", "gallery", "metric", "indices"},
        "queries": {"query_distances", "gallery_distances", "indices"},
    }[source]
    found = sorted(unfit & set(tables))
    if found:
        raise InputError(f"{', '.join(found)} cannot stand beside '{source}' in a problem: it would not be used")


def _given(tables: Tables, what: str) -> dict[str, AnyArray]:
    names = (f"{side}_{what}" for side in SIDES)
    return {name: tables[name] for name in names if name in tables}


def _features(tables: Tables) -> dict[str, Feature]:
    found = {}
    for side in SIDES:
        for name in tables:
            if name.startswith(f"{side}_features/"):
                found[name.partition("/")[2]] = Feature(tables[name], side)
    return found


def _from_embeddings(tables: Tables, rest: dict[str, Any]) -> Problem:
    if "gallery" not in tables:
        raise InputError(f"'queries' needs 'gallery' beside it (got {', '.join(sorted(tables))})")
    metric = text(tables, "metric") if "metric" in tables else "cosine"
    vectors = {f"{side}_bank": tables[f"{side}_bank"] for side in SIDES if f"{side}_bank" in tables}
    made = Problem.from_embeddings(tables["queries"], tables["gallery"], metric, **vectors, **rest)  # type: ignore[arg-type]
    return made.with_banks(**_banks(tables))


def _banks(tables: Tables) -> dict[str, Bank]:
    banks = {}
    for side in SIDES:
        parts = {part: tables.get(f"{side}_bank/{part}") for part in BANK_PARTS}
        if any(part is not None for part in parts.values()):
            banks[f"{side}_bank"] = Bank(**parts)
        elif f"{side}_bank" in tables and "queries" not in tables:
            raise InputError(f"'{side}_bank' as vectors needs 'queries' and 'gallery' vectors beside it")
    return banks


def _bank_arrays(name: str, bank: Bank | None, scores: Scores) -> Tables:
    if bank is None:
        return Tables()
    if isinstance(scores, EmbeddingScores) and isinstance(bank.to_gallery, EmbeddingScores):
        return Tables({name: bank.to_gallery.queries})
    parts = {part: getattr(bank, part) for part in BANK_PARTS}
    return Tables({f"{name}/{part}": given.rows() for part, given in parts.items() if given is not None})


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


def _longest_list(scores: Scores) -> int:
    if isinstance(scores, ListScores):
        return max(1, int(np.diff(scores.starts).max(initial=0)))
    return scores.shape[1]


def _cells(tables: Tables, indptr: str, indices: str, queries: int) -> tuple[AnyArray, AnyArray]:
    starts, columns = np.asarray(tables[indptr]), np.asarray(tables[indices])
    if len(starts) != queries + 1 or np.any(np.diff(starts) < 0) or starts[0] != 0 or starts[-1] != len(columns):
        raise InputError(f"'{indptr}' must have {queries + 1} ascending entries that end at the size of '{indices}'")
    return np.repeat(np.arange(queries), np.diff(starts)), columns
