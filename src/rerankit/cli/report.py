"""`rerankit report`: results as one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import ForceOption, ImagesOption, check_target
from rerankit.cli._output import say


def report(
    results: Annotated[list[Path], typer.Argument(help="Result files of `rerankit bench`, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the page goes, such as report.html.")],
    title: Annotated[str | None, typer.Option("--title", help="Its title; the task's by default.")] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="By which systems are sorted and drawn; the task's main one.")
    ] = None,
    problem: Annotated[
        Path | None,
        typer.Option("--show", help="A problem whose features say what items look like: docs/formats.md."),
    ] = None,
    images: ImagesOption = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="The system to compare with; the first stage by default.")
    ] = None,
    parts: Annotated[list[str] | None, typer.Option("--part", help="A part of the task; repeat it.")] = None,
    samples: Annotated[int, typer.Option("--samples", help="Of the bootstrap and of the randomisation.")] = 10_000,
    other_candidates: Annotated[
        bool, typer.Option("--other-candidates", help="Allow results that re-ranked different candidates.")
    ] = False,
    force: ForceOption = False,
) -> None:
    """Write one self-contained page: tables, charts, the queries that moved most, and what was compared on what."""
    from rerankit import read
    from rerankit.display import check_pattern, with_pictures
    from rerankit.errors import InputError
    from rerankit.reports import report as make

    check_target(out, "out", force=force)
    if check_pattern("images", images) is not None and problem is None:
        raise InputError("'--images' needs --show, the problem whose items the pictures are of")
    shown = None if problem is None else read(problem, "problem")
    made = make(
        results,
        out,
        title=title,
        metric=metric,
        show=shown if images is None or shown is None else with_pictures(shown, images),
        baseline=baseline,
        parts=parts,
        overwrite=force,
        samples=samples,
        allow_other_candidates=other_candidates,
    )
    say(f"wrote {made!r}")
