"""The columns of lines of query, item and value: by which names they are known, and what the values are.

A table of lines is a run or judgements. Its columns are named in one of these ways; other columns are left alone:

| query, item | used by |
| --- | --- |
| `query`, `item` | rerankit |
| `qid`, `docno` | PyTerrier |
| `qid`, `pid` | MS MARCO |
| `query_id`, `doc_id` | ir_measures, ir_datasets |
| `q_id`, `doc_id` | ranx |
| `query-id`, `corpus-id` | BEIR, MTEB |

`score` holds scores, or only `rank` their order; `grade`, `relevance`, `rel` and `label` hold grades. BEIR and ranx
call grades `score` too: under their names, whole numbers may be either, and whoever reads must say which.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rerankit.errors import InputError, brief

What = Literal["scores", "grades", "unsaid"]

PAIRS = (
    ("query", "item"),
    ("qid", "docno"),
    ("qid", "pid"),
    ("query_id", "doc_id"),
    ("q_id", "doc_id"),
    ("query-id", "corpus-id"),
)
SCORE, RANK = "score", "rank"
GRADES = ("grade", "relevance", "rel", "label")
DISTANCES = ("distance", "_distance", "dist")
_EITHER = {("q_id", "doc_id"), ("query-id", "corpus-id")}
_TELLING = {name for pair in PAIRS for name in pair} | {SCORE, RANK, *GRADES, *DISTANCES}

SAID = "name them query, item and score (or grade)"
"""What to do about a table whose columns have other names."""


@dataclass(frozen=True)
class Columns:
    """Which columns hold the query, the item and the value, and what the value is.

    `either`: whole numbers may be scores or grades. `ranks`: the value is a rank, which counts from the best. `rank`:
    the column of ranks beside the scores, where there is one.
    """

    query: str
    item: str
    value: str
    what: Literal["scores", "grades"]
    either: bool = False
    ranks: bool = False
    rank: str | None = None


def columns_of(names: Iterable[str]) -> Columns | None:
    """The columns of lines among some names; None when nothing looks like lines, an error when they are not clear.

    >>> columns_of(["qid", "docno", "rank", "score", "query"])
    Columns(query='qid', item='docno', value='score', what='scores', either=False, ranks=False, rank='rank')
    >>> columns_of(["q_id", "doc_id", "score"]).either, columns_of(["a.png", "b.png"])
    (True, None)
    """
    given = list(names)
    known = _TELLING.intersection(given)
    if not known:
        return None
    pairs = [pair for pair in PAIRS if known.issuperset(pair)]
    if len(pairs) != 1 or len(set(given)) < len(given):
        several = "one of these pairs: " + ", ".join("/".join(pair) for pair in PAIRS)
        raise InputError(
            f"the columns of lines must be a query and an item, by {several} (got {brief(given)}); {SAID}, "
            "or give a matrix without names"
        )
    query, item = pairs[0]
    value = _value(given, pairs[0])
    return Columns(query, item, *value, rank=RANK if value[0] == SCORE and RANK in given else None)


def names_lines(names: Iterable[str]) -> bool:
    """Whether some names are those of a query, an item and a value, so that a column without a name is an index."""
    given = set(names)
    return bool(given & {SCORE, RANK, *GRADES, *DISTANCES}) and any(given.issuperset(pair) for pair in PAIRS)


def _value(given: list[str], pair: tuple[str, str]) -> tuple[str, Literal["scores", "grades"], bool, bool]:
    grades = [name for name in GRADES if name in given]
    if len(grades) + (SCORE in given) > 1:
        raise InputError(f"the values must be one column, score or grade (got {', '.join([SCORE, *grades])}): drop one")
    if grades:
        return grades[0], "grades", False, False
    if SCORE in given:
        return SCORE, "scores", pair in _EITHER and RANK not in given, False
    distances = [name for name in DISTANCES if name in given]
    if distances:
        raise InputError(
            f"'{distances[0]}' is lower for better items, and scores are higher: give a column score = -{distances[0]}"
        )
    if RANK in given:
        return RANK, "scores", False, True
    raise InputError(f"lines of {pair[0]} and {pair[1]} must have a column score, rank or grade (got {brief(given)})")
