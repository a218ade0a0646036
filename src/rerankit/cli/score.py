"""`rerankit score …`: stages that score a whole gallery by themselves, as backbones do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import ForceOption, TaskSettings, check_target
from rerankit.cli._output import JsonOption, say, show
from rerankit.cli._run import command

app = typer.Typer(no_args_is_help=True, help="Score a whole gallery with a stage that reads features.")


@app.callback()
def score() -> None:
    """Score a whole gallery with a stage that reads features."""


def hmrn(
    stage: Annotated[Path, typer.Argument(help="A fitted stage 'hmrn': rerankit fit, rerankit import.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for round-01.npy … (searches × images).")],
    problem: Annotated[Path | None, typer.Option(help="A problem with features: docs/formats.md.")] = None,
    data: Annotated[Path | None, typer.Option(help="Or the folder of a task's own files.")] = None,
    task: Annotated[str, typer.Option(help="The task of --data.")] = "visual-genome",
    settings: TaskSettings = None,
    rounds: Annotated[str, typer.Option(help="all, last, or a round's number.")] = "all",
    k: Annotated[int, typer.Option("-k", help="Write the first K places in place of matrices; 0: matrices.")] = 0,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score all searches against all images, round by round.

    Matrices have the reasoning level for every pair. With -K only the stage's cascade reaches it, and the first
    K places of each round are written, as round-01.npz …
    """
    from rerankit.errors import rule
    from rerankit.stages.hmrn.files import write_matrices, write_rankings
    from rerankit.stages.hmrn.stage import HmrnStage

    if k < 0:
        raise rule("k", "must be at least 1, or 0 for matrices", k)
    features, ids = _given(problem, data, task, settings or [])
    check_target(out, "out", force=force)
    loaded = HmrnStage.load(stage)
    wanted: Any = int(rounds) if rounds.isdigit() else rounds
    if k:
        rows = write_rankings(loaded, features, wanted, out, k, ids, overwrite=force)
    else:
        rows = write_matrices(loaded, features, wanted, out, overwrite=force)
    show(rows, title=repr(loaded), as_json=as_json)
    say(f"wrote {out}")


def triplet(
    stage: Annotated[Path, typer.Argument(help="A stage 'triplet': rerankit fit, rerankit import.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for scores.npy (queries × gallery).")],
    problem: Annotated[Path | None, typer.Option(help="A problem with features: docs/formats.md.")] = None,
    data: Annotated[Path | None, typer.Option(help="Or the folder of a task's own files.")] = None,
    task: Annotated[str, typer.Option(help="The task of --data.")] = "cirr",
    settings: TaskSettings = None,
    images: Annotated[
        str | None, typer.Option(help="Where pictures lie, such as img_raw/{path}; the stage's own by default.")
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score all pictures for every composed query by stage I, the first stage that stage II re-ranks.

    A task of several matrices gets a file for each, such as dress.npy.
    """
    from rerankit.stages.triplet.first import write_matrices
    from rerankit.stages.triplet.stage import Triplet

    given = _matrices(problem, data, task, settings or [])
    check_target(out, "out", force=force)
    loaded = Triplet.load(stage)
    rows = write_matrices(loaded if images is None else loaded.clone(images=images), given, out, overwrite=force)
    show(rows, title=repr(loaded), as_json=as_json)
    say(f"wrote {out}")


def _given(problem: Path | None, data: Path | None, task: str, settings: list[str]) -> tuple[Any, tuple[Any, Any]]:
    """Features of both sides, and the ids of searches and images."""
    matrix = list(_matrices(problem, data, task, settings).values())[-1]
    return (matrix.query_features, matrix.gallery_features), (matrix.query_ids, matrix.gallery_ids)


def _matrices(problem: Path | None, data: Path | None, task: str, settings: list[str]) -> Mapping[str, Any]:
    """What is to be scored, by name: anything with features and ids of both sides."""
    from rerankit import read
    from rerankit.cli.rerank import parameters
    from rerankit.errors import InputError
    from rerankit.tasks import task as find

    if problem is not None and data is None:
        return {"scores": read(problem, "problem")}
    if data is not None and problem is None:
        return find(task, **parameters(settings)).load(data).matrices
    raise InputError(f"give either --problem FILE or --data FOLDER (got {'neither' if data is None else 'both'})")


app.command()(command(hmrn))
app.command()(command(triplet))
