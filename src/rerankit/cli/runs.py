"""`rerankit runs`: what is finished, failed and missing of runs in shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rerankit.cli._output import JsonOption, say, show

if TYPE_CHECKING:
    from rerankit.runs import Status


def runs(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, or one with such folders in it.")],
    as_json: JsonOption = False,
) -> None:
    """Tell how far the runs of a folder are, and what went wrong."""
    from rerankit.runs import runs_in

    found = runs_in(folder)
    show([row_of(one) for one in found], title="runs", as_json=as_json)
    for one in found:
        for number, text in one.failed.items():
            say(f"{one.folder.name}, shard {number}: {text}")
        if one.missing and one.state != "running":
            say(f"{one.folder.name}, missing shards: {in_runs(one.missing)}")
        if one.state in ("stopped", "failed"):
            say(f"{one.folder.name}: --resume goes on with it")


def row_of(one: Status) -> dict[str, Any]:
    """A row of the table."""
    return {
        "run": one.folder.name,
        "state": one.state,
        "stages": " >> ".join(one.stages),
        "queries": one.queries,
        "k": one.k,
        "shards": one.shards,
        "finished": one.finished,
        "failed": len(one.failed),
        "missing": len(one.missing),
    }


def in_runs(numbers: Sequence[int]) -> str:
    """Ascending numbers, those that follow each other as one run.

    >>> in_runs([0, 1, 2, 5, 7, 8])
    '0–2, 5, 7–8'
    """
    borders = [at for at, number in enumerate(numbers) if not at or number != numbers[at - 1] + 1]
    runs = [numbers[at:stop] for at, stop in zip(borders, [*borders[1:], len(numbers)], strict=True)]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
