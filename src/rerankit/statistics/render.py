"""A comparison as text, Markdown, LaTeX, CSV or HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from rerankit import checks
from rerankit.looks import Looks
from rerankit.metrics import traits_of

if TYPE_CHECKING:
    from rerankit.statistics.compare import Cell, Comparison

STYLES = ("text", "md", "latex", "csv", "html")
_CSV = (
    *("system", "looks_at", "metric", "value", "low", "high", "difference", "difference_low", "difference_high"),
    *("p", "p_holm", "wins", "ties", "losses", "effect", "mark"),
)
_HEAD = (
    *("system", "looks at", "metric", "value", "interval"),
    *("difference", "interval of it", "p", "better/same/worse", ""),
)
_NAMES = 3
"""So many columns at the front name a row."""
_FEW_DRAWN = 20
"""Of fewer queries or groups a bootstrap's p-values are too small (`paired_bootstrap`)."""
_SHOWN = {"mrr": "MRR", "map": "mAP", "ndcg": "nDCG", "rsum": "rSum", "success": "R", "subset_success": "R_subset"}


def render(table: Comparison, style: str = "text") -> str:
    """The table in one of the styles."""
    check_style(style)
    if style == "csv":
        return csv_of({"": table})
    rows = text_rows(table)
    head, names = list(rows[0]), names_of(rows)
    cells = [list(row.values()) for row in rows]
    if style == "latex":
        return latex(head, cells, names)
    if style == "html":
        return html(head, cells, names, caption(table))
    if style == "md":  # a line right below would be one more row of the table
        return f"{markdown(head, cells, names)}\n\n{caption(table)}"
    return f"{plain(head, cells, names)}\n{caption(table)}"


def text_rows(table: Comparison) -> list[dict[str, str]]:
    """The rows of the text, by the names of their columns; columns that are empty all the way are left out."""
    rows = [dict(zip(_HEAD, _row(cell, table.looks_at.get(cell.system, Looks())), strict=True)) for cell in table.cells]
    return [{name: row[name] for name in _HEAD if any(each[name] for each in rows)} for row in rows]


def names_of(rows: Sequence[Mapping[str, str]]) -> int:
    """How many columns at the front of `text_rows` name a row."""
    return sum(name in rows[0] for name in _HEAD[:_NAMES])


def check_style(style: str) -> None:
    """Refuse a style that there is not."""
    checks.choice("style", style, STYLES)


def first_two(values: Sequence[float]) -> list[int]:
    """1 for the highest values, 2 for the second highest, 0 for the others and where all are equal.

    >>> first_two([3.0, 5.0, 5.0, 1.0]), first_two([2.0, 2.0])
    ([2, 1, 1, 0], [0, 0])
    """
    levels = sorted(set(values), reverse=True)
    return [levels.index(each) + 1 if len(levels) > 1 and each in levels[:2] else 0 for each in values]


def shown(metric: str) -> str:
    """A metric as papers write it: success@k is their R@k, also "recall at k" where one item is right.

    >>> shown("success@5"), shown("median_rank"), shown("ndcg@10")
    ('R@5', 'median rank', 'nDCG@10')
    """
    stem, at, cut = metric.partition("@")
    return f"{_SHOWN.get(stem, stem.replace('_', ' '))}{at}{cut}"


def caption(table: Comparison) -> str:
    """What the columns are."""
    percent = f"{100 * table.level:g}"
    together = "" if table.groups is None else f" in {table.groups} groups, each drawn as a whole"
    return (
        f"{table.queries} queries{together}; intervals: {percent} %, bootstrap; p: {table.test} test against "
        f"'{table.baseline}', Holm over {sum(c.p is not None for c in table.cells)} tests; + better, − worse "
        f"at {1 - table.level:.3g}.{too_few(table)}"
    )


def too_few(table: Comparison) -> str:
    """That there are too few samples for any mark, or too few queries for a bootstrap, where it is so."""
    if table.least_p >= 1 - table.level:
        return f" No p can be below {table.least_p:.2g} with so few samples, so nothing has a mark."
    drawn = table.queries if table.groups is None else table.groups
    if table.test == "bootstrap" and drawn < _FEW_DRAWN:
        what = "queries" if table.groups is None else "groups"
        return f" Of {drawn} {what} a bootstrap marks too much: prefer the randomisation test."
    return ""


def scale(metric: str) -> tuple[float, int]:
    """How a metric is shown: its factor and decimals; fractions in percent, not sums of percents or ranks."""
    stem = metric.rpartition("/")[2].partition("@")[0]
    return (1.0 if stem == "rsum" or traits_of(stem).unit == "number" else 100.0), 2


def _row(cell: Cell, looks: Looks) -> tuple[str, ...]:
    factor, digits = scale(cell.metric)

    def figure(value: float, sign: bool = False) -> str:
        return f"{factor * value:{'+' if sign else ''}.{digits}f}".replace("-", "−")

    low, high = cell.interval
    row = [cell.system, looks.words, cell.metric, figure(cell.value), f"{figure(low)} … {figure(high)}"]
    if cell.difference is None or cell.difference_interval is None or cell.effect is None:
        return (*row, "", "", "", "", "")
    low, high = cell.difference_interval
    effect = f"{cell.effect.wins}/{cell.effect.ties}/{cell.effect.losses}"
    row += [figure(cell.difference, True), f"{figure(low, True)} … {figure(high, True)}", p_value(cell.adjusted)]
    return (*row, effect, cell.mark)


def p_value(p: float | None) -> str:
    """A p-value with two significant digits."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def plain(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 2) -> str:
    """Columns of text: the first ones, which name a row, to the left, the rest to the right."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if at < names else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(lines)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 2) -> str:
    """A Markdown table."""
    line = ["---" if at < names else "---:" for at in range(len(head))]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, line, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def latex(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 2) -> str:
    """A LaTeX tabular with the rules of booktabs."""
    columns = "l" * names + "r" * (len(head) - names)
    body = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in rows]
    top = " & ".join(escaped(cell) for cell in head) + r" \\"
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", top, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


def html(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 2, below: str = "") -> str:
    """An HTML table; its caption stands below."""

    def line(cells: Sequence[str], tag: str) -> str:
        sides = ["left" if at < names else "right" for at in range(len(cells))]
        inside = (f'<{tag} style="text-align:{s}">{escape(c)}</{tag}>' for c, s in zip(cells, sides, strict=True))
        return f"<tr>{''.join(inside)}</tr>"

    foot = f'<caption style="caption-side:bottom">{escape(below)}</caption>' if below else ""
    body = "\n".join(line(row, "td") for row in rows)
    return f"<table>{foot}\n<thead>{line(head, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


_LATEX: dict[str, int | str | None] = {
    **{char: f"\\{char}" for char in "&%_#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"−": "$-$", "…": r"\dots{}", "<": "$<$", ">": "$>$"},
}


def escaped(text: str) -> str:
    """A text for LaTeX."""
    return text.translate(str.maketrans(_LATEX))


def csv_of(tables: Mapping[str, Comparison]) -> str:
    """Every number unrounded, fractions as fractions; a first column has the tables' names when they have any."""
    named = any(tables)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*(("part",) if named else ()), *_CSV))
    for name, known, cell in ((name, table.looks_at, cell) for name, table in tables.items() for cell in table.cells):
        between = cell.difference_interval or ("", "")
        effect = cell.effect
        counts = ("", "", "", "") if effect is None else (effect.wins, effect.ties, effect.losses, effect.size)
        rest = ("" if value is None else value for value in (cell.difference, *between, cell.p, cell.adjusted))
        mark = {"−": "-"}.get(cell.mark, cell.mark)
        front = [name] if named else []
        looks = " ".join(known.get(cell.system, Looks()).names)
        writer.writerow([*front, cell.system, looks, cell.metric, cell.value, *cell.interval, *rest, *counts, mark])
    return out.getvalue()
