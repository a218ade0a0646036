"""`rerankit compare`: results side by side, with intervals and significance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._output import JsonOption, line, line_width, show_figures, show_json, wrapped


def compare(
    results: Annotated[list[Path], typer.Argument(help="Result files of `rerankit bench`, or folders of them.")],
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="The system to compare with; the first stage by default.")
    ] = None,
    metrics: Annotated[list[str] | None, typer.Option("--metric", "-m", help="A metric; repeat it.")] = None,
    parts: Annotated[list[str] | None, typer.Option("--part", help="A part of the task; repeat it.")] = None,
    style: Annotated[str, typer.Option("--format", "-f", help="text, md, latex, csv or html.")] = "text",
    layout: Annotated[
        str, typer.Option("--layout", help="long: intervals and tests; wide: a row for each system, as in papers.")
    ] = "long",
    test: Annotated[str, typer.Option("--test", help="randomisation, bootstrap or student-t.")] = "randomisation",
    samples: Annotated[int, typer.Option("--samples", help="Of the bootstrap and of the randomisation.")] = 10_000,
    level: Annotated[float, typer.Option("--level", help="Of the intervals; marks stand at 1 − level.")] = 0.95,
    other_candidates: Annotated[
        bool, typer.Option("--other-candidates", help="Allow results that re-ranked different candidates.")
    ] = False,
    independent: Annotated[
        bool, typer.Option("--independent", help="Resample single queries, even those that depend on each other.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare results query by query: one table for each part of the task."""
    from dataclasses import asdict

    from rerankit import checks
    from rerankit.bench import Result, compare_results
    from rerankit.statistics.render import check_style
    from rerankit.statistics.wide import wide

    check_style(style)
    checks.choice("layout", layout, ("long", "wide"))
    found = [Result.read(file) for path in results for file in _files(path)]
    tables = compare_results(
        found,
        baseline=baseline,
        metrics=metrics or (_cuts(found) if layout == "wide" else None),
        parts=parts,
        allow_other_candidates=other_candidates,
        independent=independent,
        test=test,
        samples=samples,
        level=level,
    )
    if as_json:
        show_json({name: asdict(table) for name, table in tables.items()})
    elif layout == "wide":
        _show_wide(wide(tables, metrics), style)
    else:
        _show_long(tables, style)


def _show_wide(table: Any, style: str) -> None:
    """One table; as text its parts stand below each other where a terminal has no room for all."""
    if style == "text":
        line("\n\n".join(each.grid() for each in table.split(line_width())))
        line(wrapped(table.below))
    else:
        line(table.render(style).rstrip("\n"))


def _show_long(tables: dict[str, Any], style: str) -> None:
    """One table below the other, each with its part's name in the words of the style."""
    from rerankit.statistics.render import caption, csv_of, names_of, text_rows

    if style == "csv":
        line(csv_of(tables).rstrip("\n"))
        return
    heads = {"latex": "% {}\n", "html": "<h2>{}</h2>"}
    for at, (name, table) in enumerate(tables.items()):
        line(f"{'' if at == 0 else chr(10)}{heads.get(style, '# {}' + chr(10)).format(name)}")
        if style == "text":
            rows = text_rows(table)
            show_figures(rows, names_of(rows))
            line(wrapped(caption(table)))
        else:
            line(table.render(style))


def _cuts(results: list[Any]) -> list[str] | None:
    """What a wide table shows where nothing is asked for; tests are then corrected for these alone."""
    from rerankit.statistics.wide import CUTS

    known = results[0].parts[0].first if results and results[0].parts else {}
    return [name for name in CUTS if name in known] or None


def _files(path: Path) -> list[Path]:
    """The file itself, or the results in a folder."""
    return sorted(path.glob("*.json")) if path.is_dir() else [path]
