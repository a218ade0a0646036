"""`rerankit report`: results as one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import (
    BaselineOption,
    ForceOption,
    ImagesOption,
    OtherCandidatesOption,
    PartsOption,
    ResultsArgument,
    SamplesOption,
    check_target,
)
from rerankit.cli._output import say


def report(
    results: ResultsArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the page goes, such as report.html.")],
    title: Annotated[str | None, typer.Option(help="The page's title; the task's by default.")] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", "-m", help="The metric that systems are sorted by; the task's main one by default."),
    ] = None,
    problem: Annotated[
        Path | None,
        typer.Option(help="A problem whose features say what items look like: docs/formats.md."),
    ] = None,
    images: ImagesOption = None,
    baseline: BaselineOption = None,
    parts: PartsOption = None,
    samples: SamplesOption = 10_000,
    other_candidates: OtherCandidatesOption = False,
    force: ForceOption = False,
) -> None:
    """Write one self-contained page: tables, charts, the queries that moved most, and what was compared on what."""
    from rerankit import read
    from rerankit.display import check_pattern, with_pictures
    from rerankit.errors import InputError
    from rerankit.reports import report as make

    check_target(out, "out", force=force)
    if check_pattern("images", images) is not None and problem is None:
        raise InputError("'--images' needs --problem, the problem whose items the pictures are of")
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
