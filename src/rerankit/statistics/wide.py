"""Comparisons side by side as a paper prints them: a row for each system, the metrics of all parts across.

The best value of a column is bold, the second best underlined; + and − mark what differs significantly from the
baseline; letters say what a system looked at beyond a query and its candidates.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from rerankit.errors import InputError
from rerankit.looks import LETTERS, TEXTS, Looks
from rerankit.metrics import traits_of
from rerankit.statistics.compare import Comparison
from rerankit.statistics.render import check_style, escaped, first_two, markdown, p_value, plain, scale, shown, too_few

CUTS = ("success@1", "success@5", "success@10")


@dataclass(frozen=True)
class TableCell:
    """A cell: its figure, also as text, its mark, and whether it is the best (1) or second best (2) of its column."""

    value: float
    text: str
    mark: str = ""
    place: int = 0


@dataclass(frozen=True, repr=False)
class Wide:
    """A wide table; `groups` are the parts with the heads of their columns."""

    groups: tuple[tuple[str, tuple[str, ...]], ...]
    rows: tuple[tuple[str, str, tuple[TableCell, ...]], ...]
    """System, what it looks at as letters, and its cells."""
    caption: str

    @property
    def names(self) -> list[str]:
        """Heads of the columns that name a row."""
        return ["system", "looks at"] if any(letters for _, letters, _ in self.rows) else ["system"]

    @property
    def head(self) -> list[str]:
        """All columns' heads in one line."""
        return [*self.names, *(f"{part} {metric}".strip() for part, metrics in self.groups for metric in metrics)]

    def cells(self, entry: Callable[[TableCell], str], text: Callable[[str], str] = str) -> list[list[str]]:
        """The rows as texts."""
        return [
            [*map(text, (system, letters)[: len(self.names)]), *map(entry, entries)]
            for system, letters, entries in self.rows
        ]

    def render(self, style: str = "text") -> str:
        """The table as "text", "md", "latex", "csv" or "html"."""
        check_style(style)
        return {"text": _text, "md": _markdown, "latex": _latex, "csv": _csv, "html": _html}[style](self)

    def split(self, room: int) -> list[Wide]:
        """Tables with some of the parts each, so that no line is longer than `room` where that can be."""
        ends = range(len(self.groups), 0, -1)
        end = next((end for end in ends if max(map(len, self._of(0, end).grid().splitlines())) <= room), 1)
        return [self] if end == len(self.groups) else [self._of(0, end), *self._of(end, None).split(room)]

    def _of(self, start: int, end: int | None) -> Wide:
        """The table of some of the parts."""
        widths = [len(metrics) for _, metrics in self.groups]
        cells = slice(sum(widths[:start]), sum(widths[:end]))
        rows = tuple((system, letters, entries[cells]) for system, letters, entries in self.rows)
        return replace(self, groups=self.groups[start:end], rows=rows)

    def grid(self) -> str:
        """The lines of the text, without those below them."""
        cells = self.cells(lambda each: f"{'*' if each.place == 1 else ''}{each.text}{each.mark or ' '}")
        heads = [*self.names, *(f"{metric} " for _, metrics in self.groups for metric in metrics)]
        lines = plain(heads, cells, len(self.names)).splitlines()
        at, top = len(self.names), ""
        ends = [found.end() for found in re.finditer("-+", lines[1])]
        for part, metrics in self.groups:
            start, at = ends[at - 1] + 2, at + len(metrics)
            room = ends[at - 1] - start
            top += " " * (start - len(top)) + part[:room].center(room)
        return "\n".join([top.rstrip(), *lines])

    @property
    def below(self) -> str:
        """What the text says below the lines."""
        return f"{self.caption} * best."

    def __repr__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        return self.render("html")


def wide(tables: Mapping[str, Comparison], metrics: Sequence[str] | None = None, digits: int = 1) -> Wide:
    """One wide table from comparisons by part; of metrics success at 1, 5 and 10 where they are there, else all.

    Where these are shown of several parts, such as both directions of search, the last column is their sum, rSum.

    >>> import numpy as np
    >>> from rerankit import evaluate
    >>> from rerankit.statistics import compare
    >>> made = {"bad": evaluate(np.fliplr(np.eye(9)), range(9)), "good": evaluate(np.eye(9), range(9))}
    >>> print(wide({"forward": compare(made, samples=200)}).render("md").partition("\\n\\n")[0])
    | system | forward R@1 | forward R@5 | forward R@10 |
    | --- | ---: | ---: | ---: |
    | bad | <u>11.1</u> | <u>55.6</u> | 100.0 |
    | good | **100.0** | **100.0** | 100.0 |
    """
    if not tables:
        raise InputError("'tables' must hold at least one comparison (got none)")
    first = next(iter(tables.values()))
    wanted = _asked(first, metrics)
    if any(table.systems != first.systems for table in tables.values()):
        raise InputError("'tables' must compare the same systems (got different ones)")
    columns = [_column(table, metric, digits) for table in tables.values() for metric in wanted]
    groups = [(part, tuple(map(shown, wanted))) for part in tables]
    if len(tables) > 1 and tuple(wanted) == CUTS:
        sums = [
            100 * sum(table.cell(name, metric).value for table in tables.values() for metric in CUTS)
            for name in first.systems
        ]
        columns.append(_placed(sums, [f"{value:.{digits}f}" for value in sums], [""] * len(sums), sums))
        groups.append(("", ("rSum",)))
    looks = [Looks.union(each.looks_at.get(name, Looks()) for each in tables.values()) for name in first.systems]
    rows = tuple(
        (name, looks[at].letters, tuple(column[at] for column in columns)) for at, name in enumerate(first.systems)
    )
    return Wide(tuple(groups), rows, _caption(tables, Looks.union(looks)))


def _asked(table: Comparison, metrics: Sequence[str] | None) -> list[str]:
    if metrics is not None:
        return list(table.metrics)
    return [name for name in CUTS if name in table.metrics] or list(table.metrics)


def _column(table: Comparison, metric: str, digits: int) -> list[TableCell]:
    cells = [table.cell(name, metric) for name in table.systems]
    factor, _ = scale(metric)
    sign = traits_of(metric).sign
    texts = [f"{factor * cell.value:.{digits}f}".replace("-", "−") for cell in cells]
    values = [cell.value for cell in cells]
    return _placed(values, texts, [cell.mark for cell in cells], [sign * value for value in values])


def _placed(
    values: Sequence[float], texts: Sequence[str], marks: Sequence[str], goodness: Sequence[float]
) -> list[TableCell]:
    """Entries with their places; equal ones share a place, and where all are equal there is none."""
    return [TableCell(*each) for each in zip(values, texts, marks, first_two(goodness), strict=True)]


def _caption(tables: Mapping[str, Comparison], looks: Looks) -> str:
    first = next(iter(tables.values()))
    queries = " and ".join(f"{size:,}" for size in sorted({table.queries for table in tables.values()}))
    tests = sum(cell.p is not None for cell in first.cells)
    used = [f"{LETTERS[name]} {TEXTS[name]}" for name in looks.names]
    legend = f" {'; '.join(used)}." if used else ""
    return (
        f"{queries} queries; + and − differ from '{first.baseline}' at {p_value(1 - first.level)} ({first.test} test, "
        f"Holm over {tests} tests of each part).{too_few(first)}{legend}"
    )


def _text(table: Wide) -> str:
    return f"{table.grid()}\n{table.below}"


def _markdown(table: Wide) -> str:
    def entry(each: TableCell) -> str:
        body = {1: f"**{each.text}**", 2: f"<u>{each.text}</u>"}.get(each.place, each.text)
        return f"{body} {each.mark}".strip()

    lines = markdown(table.head, table.cells(entry), len(table.names))
    return f"{lines}\n\n{table.caption} Best bold, second underlined."


def _latex(table: Wide) -> str:
    def entry(each: TableCell) -> str:
        body = escaped(each.text)
        body = {1: rf"\textbf{{{body}}}", 2: rf"\underline{{{body}}}"}.get(each.place, body)
        return body + {"+": r"$^{+}$", "−": r"$^{-}$"}.get(each.mark, "")

    names = len(table.names)
    spans, lines, at = [""] * names, "", names
    for part, metrics in table.groups:
        spans.append(rf"\multicolumn{{{len(metrics)}}}{{c}}{{{escaped(part)}}}" if part else "")
        lines += rf"\cmidrule(lr){{{at + 1}-{at + len(metrics)}}}" if part else ""
        at += len(metrics)
    heads = [*table.names, *(escaped(metric) for _, metrics in table.groups for metric in metrics)]
    columns = "l" * names + "".join("r" * len(metrics) for _, metrics in table.groups)
    top = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(spans) + r" \\", lines]
    body = [" & ".join(row) + r" \\" for row in table.cells(entry, escaped)]
    note = f"% {table.caption} Best bold, second underlined."
    return "\n".join([note, *top, " & ".join(heads) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}"])


def _csv(table: Wide) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.head)
    writer.writerows(table.cells(lambda each: repr(each.value)))
    return out.getvalue().rstrip("\n")


def _html(table: Wide) -> str:
    def entry(each: TableCell) -> str:
        body = {1: f"<b>{each.text}</b>", 2: f"<u>{each.text}</u>"}.get(each.place, each.text)
        return f"{body}<sup>{each.mark}</sup>" if each.mark else body

    def line(row: Sequence[str]) -> str:
        sides = ["left" if at < len(table.names) else "right" for at in range(len(row))]
        cells = (f'<td style="text-align:{side}">{cell}</td>' for side, cell in zip(sides, row, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    front = "".join(f'<th rowspan="2" style="text-align:left">{name}</th>' for name in table.names)
    spans = "".join(f'<th colspan="{len(metrics)}">{escape(part)}</th>' for part, metrics in table.groups)
    heads = "".join(f"<th>{escape(metric)}</th>" for _, metrics in table.groups for metric in metrics)
    body = "\n".join(map(line, table.cells(entry, escape)))
    note = f'<caption style="caption-side:bottom">{escape(table.caption)} Best bold, second underlined.</caption>'
    head = f"<thead><tr>{front}{spans}</tr><tr>{heads}</tr></thead>"
    return f"<table>{note}\n{head}\n<tbody>\n{body}\n</tbody>\n</table>"
