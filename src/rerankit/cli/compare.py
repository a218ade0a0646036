"""`rerankit compare`: results side by side, with intervals and significance."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rerankit.cli._options import BaselineOption, OtherCandidatesOption, PartsOption, ResultsArgument, SamplesOption
from rerankit.cli._output import JsonOption, line, line_width, show_figures, show_json, wrapped


def compare(
    results: ResultsArgument,
    baseline: BaselineOption = None,
    metrics: Annotated[list[str] | None, typer.Option("--metric", "-m", help="A metric; repeat it.")] = None,
    parts: PartsOption = None,
    style: Annotated[
        str, typer.Option("--format", "-f", help="How tables are written: text, md, latex, csv or html.")
    ] = "text",
    layout: Annotated[
        str, typer.Option(help="long: intervals and tests; wide: a row for each system, as in papers.")
    ] = "long",
    test: Annotated[
        str, typer.Option(help="The test of significance: randomisation, bootstrap or student-t.")
    ] = "randomisation",
    samples: SamplesOption = 10_000,
    level: Annotated[
        float, typer.Option(help="Confidence of the intervals; what is significant at 1 − level gets a mark.")
    ] = 0.95,
    other_candidates: OtherCandidatesOption = False,
    independent: Annotated[
        bool, typer.Option("--independent", help="Resample single queries, even those that depend on each other.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare results query by query: one table for each part of the task, those of several tasks one by one."""
    from dataclasses import asdict

    from rerankit import checks
    from rerankit.bench import compare_results
    from rerankit.reports import read_results
    from rerankit.statistics.render import check_style
    from rerankit.statistics.wide import wide

    check_style(style)
    checks.choice("--layout", layout, ("long", "wide"))
    how: dict[str, Any] = {"allow_other_candidates": other_candidates, "independent": independent, "test": test}
    how |= {"baseline": baseline, "samples": samples, "level": level}
    by_task = {}
    for name, own, of_task in _tasks(read_results(results), parts):
        shown = metrics or (_cuts(own) if layout == "wide" else None)
        by_task[name] = compare_results(own, metrics=shown, parts=of_task, **how)
    if layout == "wide" and not as_json:
        _show_wide({name: wide(tables, metrics) for name, tables in by_task.items()}, style)
        return
    front = {name: f"{name}: " if len(by_task) > 1 else "" for name in by_task}
    tables = {f"{front[name]}{part}": table for name, made in by_task.items() for part, table in made.items()}
    if as_json:
        show_json({name: asdict(table) for name, table in tables.items()})
    else:
        _show_long(tables, style)


def _tasks(results: list[Any], parts: list[str] | None) -> list[tuple[str, list[Any], list[str] | None]]:
    """The results of each task, by its name, with those of `parts` that the task has (None: all)."""
    from rerankit.errors import InputError

    by_name: dict[str, list[Any]] = {}
    for result in results:
        by_name.setdefault(result.task["name"], []).append(result)
    if parts is None or len(by_name) < 2:
        return [(name, own, parts) for name, own in by_name.items()] or [("", [], parts)]
    known = {name: [each.name for each in own[0].parts] for name, own in by_name.items()}
    lost = [part for part in parts if not any(part in names for names in known.values())]
    if lost:
        raise InputError(f"'--part' must name parts of the tasks {', '.join(by_name)} (got {', '.join(lost)})")
    found = [(name, own, [part for part in parts if part in known[name]]) for name, own in by_name.items()]
    return [each for each in found if each[2]]


def _show_wide(tables: dict[str, Any], style: str) -> None:
    """A table for each task; as text its parts stand below each other where a terminal has no room for all."""
    for at, (name, table) in enumerate(tables.items()):
        if len(tables) > 1:
            line(_head(name, style, at))
        if style == "text":
            line("\n\n".join(each.grid() for each in table.split(line_width())))
            line(wrapped(table.below))
        else:
            line(table.render(style).rstrip("\n"))


def _head(name: str, style: str, at: int) -> str:
    """What stands above a table, in the words of the style."""
    heads = {"latex": "% {}\n", "html": "<h2>{}</h2>"}
    return f"{chr(10) if at else ''}{heads.get(style, '# {}' + chr(10)).format(name)}"


def _show_long(tables: dict[str, Any], style: str) -> None:
    """One table below the other, each with its part's name in the words of the style."""
    from rerankit.statistics.render import caption, csv_of, names_of, text_rows

    if style == "csv":
        line(csv_of(tables).rstrip("\n"))
        return
    for at, (name, table) in enumerate(tables.items()):
        line(_head(name, style, at))
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
