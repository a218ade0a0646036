"""A ranking as what other libraries take, and as text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit import checks
from rerankit.adapters import arrow, pandas, polars, ranx
from rerankit.arrays import AnyArray

if TYPE_CHECKING:
    from rerankit.arrays import BoolArray, FloatArray, IntArray
    from rerankit.ids import Ids

_SHOWN_ROWS, _SHOWN_ITEMS = 8, 5


class Exports:
    """What a `Ranking` becomes. Queries and items go by their ids, and by their numbers where there are none."""

    indices: IntArray
    scores: FloatArray
    gallery_size: int
    query_ids: Ids | None
    gallery_ids: Ids | None

    if TYPE_CHECKING:

        def __len__(self) -> int: ...
        @property
        def mask(self) -> BoolArray: ...
        @property
        def shape(self) -> tuple[int, int]: ...

    def to_dict(self) -> dict[Any, dict[Any, float]]:
        """``{query: {item: score}}`` with ids where there are any; scores rounded to float32's own digits.

        >>> from rerankit import Ranking
        >>> Ranking([[2, 0]], [[0.9, 0.5]], query_ids=["cat"]).to_dict()
        {'cat': {2: 0.9, 0: 0.5}}
        """
        queries = range(len(self)) if self.query_ids is None else self.query_ids.tolist()
        result: dict[Any, dict[Any, float]] = {}
        for row, query in enumerate(queries):
            items = self.indices[row][self.indices[row] >= 0]
            names = items if self.gallery_ids is None else self.gallery_ids[items]
            values = (float(str(value)) for value in self.scores[row][: len(items)])
            result[query] = dict(zip(names.tolist(), values, strict=True))
        return result

    def to_columns(self) -> dict[str, AnyArray]:
        """One line for each ranked item: arrays `query`, `item`, `score` and `rank`, which counts from 1.

        >>> from rerankit import Ranking
        >>> Ranking([[2, 0]], [[0.9, 0.5]], query_ids=["cat"]).to_columns()["rank"]
        array([1, 2])
        """
        rows, places = np.nonzero(self.mask)
        items = self.indices[rows, places]
        return {
            "query": rows if self.query_ids is None else self.query_ids[rows],
            "item": items if self.gallery_ids is None else self.gallery_ids[items],
            "score": self.scores[rows, places],
            "rank": places + 1,
        }

    def to_pandas(self) -> Any:
        """A data frame of pandas with the columns query, item, score and rank; queries without items have no line."""
        return pandas.frame(self.to_columns())

    def to_polars(self) -> Any:
        """The same as a data frame of polars."""
        return polars.frame(self.to_columns())

    def to_arrow(self) -> Any:
        """The same as a table of pyarrow."""
        return arrow.table(self.to_columns())

    def to_ranx(self, name: str | None = None) -> Any:
        """A `Run` of ranx, whose keys are texts; it cannot hold queries without items, which are refused."""
        return ranx.run(self.to_dict(), name)

    def to_trec(self, tag: str = "rerankit") -> str:
        """The lines of a run as trec_eval reads it, `query Q0 item rank score tag`; ids must be single words.

        >>> from rerankit import Ranking
        >>> print(Ranking([[2, 0]], [[0.9, 0.5]], query_ids=["cat"]).to_trec("mine"), end="")
        cat Q0 2 1 0.9 mine
        cat Q0 0 2 0.5 mine
        """
        columns, tag = self.to_columns(), checks.word("tag", tag)
        queries = [checks.word("query_ids", str(name)) for name in columns["query"].tolist()]
        items = [checks.word("gallery_ids", str(name)) for name in columns["item"].tolist()]
        rest = zip(queries, items, columns["rank"].tolist(), map(str, columns["score"]), strict=True)
        return "".join(f"{query} Q0 {item} {rank} {score} {tag}\n" for query, item, rank, score in rest)

    def _repr_html_(self) -> str:
        """A small table for notebooks: the first items of the first queries."""
        items = min(_SHOWN_ITEMS, self.shape[1])
        places = "".join(f"<th>{place}</th>" for place in range(1, items + 1))
        rows = "".join(self._html_row(row, items) for row in range(min(_SHOWN_ROWS, len(self))))
        more = f"<p>… and {len(self) - _SHOWN_ROWS} more queries</p>" if len(self) > _SHOWN_ROWS else ""
        caption = f"<caption>{len(self)} queries × {self.shape[1]} of {self.gallery_size} items</caption>"
        head = f"<thead><tr><th>query</th>{places}</tr></thead>"
        return f"<table>{caption}{head}<tbody>{rows}</tbody></table>{more}"

    def _html_row(self, row: int, count: int) -> str:
        query = row if self.query_ids is None else self.query_ids[row]
        cells = []
        for item, score in zip(self.indices[row, :count], self.scores[row], strict=False):
            name = item if self.gallery_ids is None else self.gallery_ids[item]
            cells.append(f"{escape(str(name))}<br><small>{score:.4g}</small>" if item >= 0 else "")
        return f"<tr><th>{escape(str(query))}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
