"""`rerankit compare`: results side by side, with intervals and significance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._output import JsonOption, line, show_figures, show_json


def compare(
    results: Annotated[list[Path], typer.Argument(help="Result files of `rerankit bench`, or folders of them.")],
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="The system to compare with; the first stage by default.")
    ] = None,
    metrics: Annotated[list[str] | None, typer.Option("--metric", "-m", help="A metric; repeat it.")] = None,
    parts: Annotated[list[str] | None, typer.Option("--part", help="A part of the task; repeat it.")] = None,
    style: Annotated[str, typer.Option("--format", "-f", help="text, markdown, latex or csv.")] = "text",
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

    from rerankit.bench import Result, compare_results
    from rerankit.statistics.render import caption, check_style, csv_of, text_rows

    check_style(style)
    tables = compare_results(
        [Result.read(file) for path in results for file in _files(path)],
        baseline=baseline,
        metrics=metrics,
        parts=parts,
        allow_other_candidates=other_candidates,
        independent=independent,
        test=test,
        samples=samples,
        level=level,
    )
    if as_json:
        show_json({name: asdict(table) for name, table in tables.items()})
        return
    if style == "csv":
        line(csv_of(tables).rstrip("\n"))
        return
    for at, (name, table) in enumerate(tables.items()):
        line(f"{'' if at == 0 else chr(10)}{'%' if style == 'latex' else '#'} {name}\n")
        if style == "text":
            show_figures(text_rows(table))
            line(caption(table))
        else:
            line(table.render(style))


def _files(path: Path) -> list[Path]:
    """The file itself, or the results in a folder."""
    return sorted(path.glob("*.json")) if path.is_dir() else [path]
