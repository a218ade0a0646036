"""Lines of query, item and value, which is how runs and judgements are exchanged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rerankit.arrays import AnyArray, FloatArray, IntArray, float32, numbers
from rerankit.columns import What
from rerankit.errors import InputError, rule, several

Judgements = dict[Any, dict[Any, float]]


@dataclass(frozen=True)
class Triples:
    """Lines of query, item and value; `what` says whether the values are scores or grades.

    It is "unsaid" where a file or a table leaves it open; `matrix` then is the matrix that the same numbers may be.
    `listed` has every query in order, also those without a line; None when only lines are known.
    """

    queries: Sequence[Any]
    items: Sequence[Any]
    values: NDArray[np.float64]
    what: What
    listed: list[Any] | None = None
    matrix: AnyArray | None = None

    def __post_init__(self) -> None:
        """Formats of plugins may give a list of numbers."""
        object.__setattr__(self, "values", numbers(self.values, "values"))
        lengths = [len(each) for each in (self.queries, self.items, self.values)]
        if len(set(lengths)) > 1:
            found = "{} queries, {} items, {} values".format(*lengths)
            raise rule("values", "must be one for each query and item", found)

    @property
    def names(self) -> list[Any]:
        """Every query once, in order."""
        return list(dict.fromkeys(self.queries)) if self.listed is None else self.listed


class Listed(NamedTuple):
    """Lines as top-k lists in any order: indices and scores (queries, K), padded, and the names of both sides."""

    indices: IntArray
    scores: FloatArray
    query_ids: Any
    gallery_ids: Any


def refuse_distances(queries: Sequence[Any], values: Any, ranks: Any, where: str = "") -> None:
    """Refuse lines whose scores rise wherever their ranks do: those are distances, and would turn each list round.

    Looks at neighbouring lines of one query. Ranks that tell nothing, all 0 or no numbers, are passed over.

    >>> refuse_distances(["q", "q"], [0.1, 0.7], [1, 2])
    Traceback (most recent call last):
    rerankit.errors.InputError: scores must fall where ranks rise, and those of distances do not (got 1 of 1 pairs of \
lines that rise together): negate them, or leave the ranks out
    """
    try:
        numbers = np.asarray(ranks, np.float64)
    except (TypeError, ValueError):
        return
    names = np.empty(len(queries), object)
    names[:] = queries
    same = names[1:] == names[:-1]
    signs = (np.sign(np.diff(np.asarray(values, np.float64))) * np.sign(np.diff(numbers)))[same]
    rising, falling = int((signs > 0).sum()), int((signs < 0).sum())
    if rising and not falling:
        got = f"{rising} of {rising} pairs of lines that rise together"
        raise InputError(
            f"{where}scores must fall where ranks rise, and those of distances do not (got {got}): negate them, or "
            "leave the ranks out"
        )


def natural(ids: Iterable[Any]) -> list[Any]:
    """Ids without repeats in a fixed order: whole numbers by value, anything else as text.

    >>> natural(["10", "9", "10"]), natural(["b", "a10", "a9"]), natural([10, 9])
    (['9', '10'], ['a10', 'a9', 'b'], [9, 10])
    """
    unique = set(ids)
    if all(not isinstance(name, str) or (name.isdecimal() and str(int(name)) == name) for name in unique):
        return sorted(unique, key=int)
    return sorted(unique, key=str)


def to_lists(triples: Triples, query_ids: Any = None, gallery_ids: Any = None) -> Listed:
    """Lists of a run; without ids, queries come in the order of the lines and items in natural order."""
    if triples.what == "grades":
        raise InputError("a ranking needs scores (got grades)")
    refuse_none(triples)
    queries = triples.names if query_ids is None else query_ids
    items = natural(triples.items) if gallery_ids is None else gallery_ids
    _numbers(triples.names, queries, "query_ids")  # also a query without lines must be known
    rows = _numbers(triples.queries, queries, "query_ids")
    columns = _numbers(triples.items, items, "gallery_ids")
    _refuse_repeats(triples, rows, columns, len(items))
    values = float32(triples.values, "scores")  # what does not fit becomes infinite, which a ranking refuses
    return Listed(*_padded(rows, columns, values, len(queries)), queries, items)


def from_dict(nested: Mapping[Any, Any], what: What, argument: str = "run") -> Triples:
    """The lines of `{query: {item: value}}`, of `{query: [(item, value), …]}`, or of `{query: [right item, …]}`.

    >>> from_dict({"q": [("b", 0.9), ("a", 0.4)]}, "scores").items
    ['b', 'a']
    >>> from_dict({"q": ["b", "a"]}, "grades").values
    array([1., 1.])
    """
    pairs = {}
    for query, found in nested.items() if isinstance(nested, Mapping) else [(None, None)]:
        mapped = _pairs(found, what)
        if mapped is None:
            value, plain = what.removesuffix("s"), " or items" if what == "grades" else ""
            text = f"must map queries to {{item: {value}}}, or to lists of (item, {value}){plain}"
            raise InputError(f"'{argument}' {text}")
        pairs[query] = mapped
    check_names(nested, f"queries of {argument}")
    queries = [query for query, found in pairs.items() for _ in found]
    items = [item for found in pairs.values() for item, _ in found]
    check_names(items, f"items of {argument}")
    given = [value for found in pairs.values() for _, value in found]
    wrong = [value for value in given if not hasattr(value, "__float__")]
    if wrong:
        raise InputError(f"every {what[:-1]} must be a number (got {several('that are none', wrong, len(given))})")
    values = np.array([float(value) for value in given], np.float64)
    if not np.isfinite(values).all():
        bad = [(queries[at], items[at], values[at].item()) for at in np.flatnonzero(~np.isfinite(values)).tolist()]
        raise InputError(f"every {what[:-1]} must be finite (got {several('that are not', bad, len(values))})")
    return Triples(queries, items, values, what, list(nested))


def _pairs(found: Any, what: What) -> list[tuple[Any, Any]] | None:
    """The items of a query with their values; judgements may be the right items alone. None of anything else."""
    if isinstance(found, Mapping):
        return list(found.items())
    if isinstance(found, list | tuple) and all(map(is_pair, found)):
        return list(found)
    plain = what == "grades" and isinstance(found, list | tuple | set | frozenset)
    names = plain and all(isinstance(name, str | int | np.integer) for name in found)
    return [(name, 1.0) for name in found] if names else None


def is_pair(value: Any) -> bool:
    """Whether this is an item and its value, and no row of a matrix: a tuple, or a list that begins with a text."""
    listed = isinstance(value, tuple) or (isinstance(value, list) and value and isinstance(value[0], str))
    return bool(listed) and len(value) == 2


def check_names(names: Collection[Any], argument: str) -> None:
    """Refuse names of queries or items that are neither texts nor whole numbers."""
    bad = [name for name in names if not isinstance(name, str | int | np.integer) or isinstance(name, bool)]
    if bad:
        got = several("that are not", bad, len(names))
        raise rule(argument, "must be texts or whole numbers", got)


def to_dict(triples: Triples) -> Judgements:
    """`{query: {item: value}}`, of a run or of judgements."""
    found: Judgements = {query: {} for query in triples.names}
    again = []
    for query, item, value in zip(triples.queries, triples.items, triples.values.tolist(), strict=True):
        if item in found[query]:
            again.append((query, item))
        found[query][item] = value
    _refuse_again("judge" if triples.what == "grades" else "list", again)
    return found


def refuse_none(triples: Triples, where: str = "") -> None:
    """Refuse a run or judgements without a line."""
    if not len(triples.queries):
        what = "values" if triples.what == "unsaid" else triples.what
        raise InputError(f"{where}must have at least one line with {what} (got none)")


def _numbers(names: Sequence[Any], ids: Any, argument: str) -> IntArray:
    number = {str(name): row for row, name in enumerate(np.asarray(ids).tolist())}
    try:
        return np.array([number[str(name)] for name in names], np.int64)
    except KeyError:
        unknown = sorted({str(name) for name in names} - set(number))
        raise InputError(f"'{argument}' must have every id of the lines (got {several('unknown', unknown)})") from None


def _refuse_repeats(triples: Triples, rows: IntArray, columns: IntArray, width: int) -> None:
    keys = rows * width + columns
    unique, first = np.unique(keys, return_index=True)
    if len(unique) < len(keys):
        again = np.setdiff1d(np.arange(len(keys)), first).tolist()
        _refuse_again("list", [(triples.queries[line], triples.items[line]) for line in again])


def _refuse_again(verb: str, again: list[tuple[Any, Any]]) -> None:
    """Pairs of query and item that were there before."""
    if again:
        raise InputError(f"a query must {verb} an item once (got {several('repeated (query, item)', again)})")


def _padded(rows: IntArray, columns: IntArray, values: FloatArray, queries: int) -> tuple[IntArray, FloatArray]:
    by_row = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=queries)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    indices = np.full((queries, int(counts.max())), -1, np.int64)
    scores = np.full(indices.shape, -np.inf, np.float32)
    indices[rows[by_row], place] = columns[by_row]
    scores[rows[by_row], place] = values[by_row]
    return indices, scores
