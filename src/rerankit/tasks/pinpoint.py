"""PinPoint: composed retrieval with several right pictures, named wrong ones, and one or two references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import atomic
from rerankit.metrics import Evaluation
from rerankit.reading.arrow_files import ParquetColumns
from rerankit.relevance import Relevance
from rerankit.tasks.base import (
    ANY_GALLERY,
    Benchmark,
    Card,
    DataFile,
    Matrix,
    Part,
    Task,
    check_once,
    counted,
    grouped,
    located,
    refuse,
)
from rerankit.tasks.files import of_kind, read_lines

_QUERIES, _INDEX = "pinpoint_licensed.parquet", "index_signatures.txt"
_COLUMNS = ("query_id", "query_image_signature", "query_image_signature2", "instruction")
_LISTS = ("positive_candidates", "negative_candidates")
_NOTHING = ("", "None", "nan", "NaN")  # how a release writes that there is no second picture


class PinPointQuery(NamedTuple):
    """A query: its id, its one or two pictures, what is asked, and what is right and wrong."""

    name: str
    pictures: tuple[str, ...]
    text: str
    right: list[str]
    wrong: list[str]


class PinPoint(Task):
    """Queries of one or two pictures and an instruction against all 109,599 pictures of the index.

    strict: refuse pictures that are named as right or wrong and are not in the index, and such as are both; with False
    they are left out (the published evaluator counts a right one outside of the index as never found). gallery,
    queries: how many there must be (None: any number).
    """

    card: ClassVar[Card] = Card(
        name="pinpoint",
        title="PinPoint",
        citation="Mahadev et al., PinPoint: Evaluation of composed image retrieval with explicit negatives, "
        "multi-image queries, and paraphrase testing, CVPR 2026",
        licence="CC BY 4.0 (annotations); pictures under licences of their own",
        revision="pinpoint_licensed (2026)",
        split="test",
        direction="pictures and instruction to picture",
        metrics=("precision@1", "precision@10", "recall@10", "map@10", "map@50"),
        main="pinpoint/map@10",
        url="https://github.com/pinterest/pinpoint-dataset",
        notes="neg_recall@k is NegRecall@k, part without-negatives has mAP@k_noNeg; the reference pictures stay in the "
        "gallery; spread is the mean range of precision@10 among queries of the same pictures (ling_sens_range)",
    )

    def __init__(self, gallery: int | None = 109_599, queries: int | None = 7635, strict: bool = True) -> None:
        self.gallery, self.queries, self.strict = gallery, queries, strict

    @property
    def files(self) -> tuple[DataFile, ...]:
        """Queries with what is right and wrong, and the list of all pictures."""
        return DataFile(_QUERIES, "queries (extra: parquet)"), DataFile(_INDEX, "every picture, one a line")

    def read(self, data: Path) -> Benchmark:
        """One matrix; parts for all queries, those of two pictures, what is wrong, and the lists without that."""
        path, index = (located(data, each.path) for each in self.files)
        names = [name.strip() for name in read_lines(index) if name.strip()]
        place = {name: column for column, name in enumerate(names)}
        check_once(index, "a picture", names)
        queries = read_queries(path)
        for wanted, found, what in ((self.gallery, names, "pictures"), (self.queries, queries, "queries")):
            counted(path if found is queries else index, what, wanted, len(found), ANY_GALLERY)
        if self.strict:
            _check_judged(path, queries, place)
        right = [[place[name] for name in query.right if name in place] for query in queries]
        wrong = [
            [place[name] for name in query.wrong if name in place and name not in query.right] for query in queries
        ]
        first = [query.pictures[0] for query in queries]
        features = {
            "reference": first,
            "second_reference": [query.pictures[1] if len(query.pictures) > 1 else "" for query in queries],
            "text": [query.text for query in queries],
        }
        matrix = Matrix([query.name for query in queries], names, features)
        return Benchmark(
            self, {"scores": matrix}, _parts(queries, right, wrong, len(names)), self.checksum(data), "zero"
        )

    def summary(self, results: Mapping[str, Evaluation], parts: Sequence[Part]) -> dict[str, float]:
        """Figures of all parts, and how much precision@10 differs among queries of the same pictures."""
        figures = grouped(results, parts)
        whole = parts[0]
        values = results[whole.name].per_query.get("precision@10")
        if values is not None and whole.together is not None:
            alike: dict[Any, list[float]] = {}
            for label, value in zip(whole.together, values.tolist(), strict=True):
                alike.setdefault(label, []).append(value)
            spreads = [max(each) - min(each) for each in alike.values() if len(each) > 1]
            figures["spread of precision@10"] = float(np.mean(spreads)) if spreads else 0.0
        return figures

    def write_miniature(self, data: Path, seed: int = 0) -> PinPoint:
        """Made-up signatures: four pictures or pairs of them with three instructions each, among fifty pictures."""
        self.check_new(data)
        rng = np.random.default_rng(seed)
        names = [rng.bytes(16).hex() for _ in range(50)]
        rows: list[tuple[Any, ...]] = []
        for number in range(12):
            picture = number // 3
            shown = names[2 * picture], names[2 * picture + 1] if picture % 2 else None
            judged = rng.choice(names[8:], 7 + picture, replace=False).tolist()
            rows.append((f"{number:05d}", *shown, f"with {number} of them", judged[:3], judged[3:]))
        arrow, parquet = (_arrow(name, "write") for name in ("pyarrow", "pyarrow.parquet"))
        columns = dict(zip((*_COLUMNS, *_LISTS), map(list, zip(*rows, strict=True)), strict=True))
        data.mkdir(parents=True, exist_ok=True)
        with atomic(data / _QUERIES) as temporary:
            parquet.write_table(arrow.table(columns), temporary)
        with atomic(data / _INDEX) as temporary:
            temporary.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        return PinPoint(50, 12)


def read_queries(path: Path) -> list[PinPointQuery]:
    """The queries of the table."""
    found = []
    for row, entry in enumerate(_rows(path)):
        name, first, second, text = (entry[column] for column in _COLUMNS)
        for column, value in (("query_id", name), ("query_image_signature", first), ("instruction", text)):
            of_kind(value, str, f"'{column}' of row {row}", path)
        judged = [of_kind(entry[column] or [], list, f"'{column}' of row {row}", path) for column in _LISTS]
        for column, listed in zip(_LISTS, judged, strict=True):
            for value in listed:
                of_kind(value, str, f"a value of '{column}' of row {row}", path)
        pictures = (first,) if second is None or second in _NOTHING else (first, second)
        right, wrong = (list(dict.fromkeys(listed)) for listed in judged)
        found.append(PinPointQuery(name, pictures, text, right, wrong))
    check_once(path, "a query", [query.name for query in found])
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the table, by columns, whose kinds are still to be looked at."""
    _arrow("pyarrow.parquet", "read")
    try:
        rows: list[dict[str, Any]] = ParquetColumns(path, [*_COLUMNS, *_LISTS]).table().to_pylist()
    except FormatError:
        raise
    except Exception as cause:  # damaged bytes come out of Arrow as many kinds of errors
        raise FormatError(f"{path}: damaged or not a Parquet file: {cause}") from cause
    return rows


def _parts(
    queries: Sequence[PinPointQuery], right: Sequence[Sequence[int]], wrong: Sequence[Sequence[int]], size: int
) -> tuple[Part, ...]:
    together = [query.pictures for query in queries]
    relevance = Relevance.from_lists(right, size)
    parts = [Part("pinpoint", relevance, together=together)]
    several = np.flatnonzero([len(pictures) > 1 for pictures in together])
    if len(several):
        those = relevance.subset(several, np.arange(size))
        metrics = ("precision@10", "map@10")
        labels = [together[row] for row in several.tolist()]
        parts.append(Part("two-pictures", those, queries=several, metrics=metrics, together=labels))
    if any(wrong):
        without = Relevance.from_lists(right, size, exclude=wrong)
        parts.append(Part("without-negatives", without, metrics=("map@10",), together=together))
        named = Relevance.from_lists(wrong, size)
        parts.append(Part("negatives", named, metrics=("neg_recall@10",), together=together, wrong=True))
    return tuple(parts)


def _check_judged(path: Path, queries: Sequence[PinPointQuery], place: Mapping[str, int]) -> None:
    lost = [name for query in queries for name in (*query.right, *query.wrong) if name not in place]
    refuse(path, f"must judge pictures of {_INDEX}, or set 'strict' to false to leave others out", lost)
    both = [query.name for query in queries if set(query.right) & set(query.wrong)]
    rule = "must not name a picture as right and as wrong, or set 'strict' to false to count it as right"
    refuse(path, rule, both, len(queries))


def _arrow(module: str, what: str) -> Any:
    return require(module, extra="parquet", purpose=f"task 'pinpoint' to {what} {_QUERIES}")
