"""`rerankit score …`: stages that score a whole gallery by themselves, as backbones do."""

from __future__ import annotations

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
    from rerankit.errors import InputError, rule
    from rerankit.stages.hmrn.files import write_matrices, write_rankings
    from rerankit.stages.hmrn.stage import HmrnStage

    if (problem is None) == (data is None):
        raise InputError("give either --problem FILE or --data FOLDER (got both or neither)")
    if k < 0:
        raise rule("k", "must be at least 1, or 0 for matrices", k)
    check_target(out, "out", force=force, mark="round-*.np?")
    loaded = HmrnStage.load(stage)
    features, ids = _given(problem, data, task, settings or [])
    wanted: Any = int(rounds) if rounds.isdigit() else rounds
    rows = write_rankings(loaded, features, wanted, out, k, ids) if k else write_matrices(loaded, features, wanted, out)
    show(rows, title=repr(loaded), as_json=as_json)
    say(f"wrote {out}")


def _given(problem: Path | None, data: Path | None, task: str, settings: list[str]) -> tuple[Any, tuple[Any, Any]]:
    """Features, and the ids of searches and images."""
    from rerankit import Feature, read
    from rerankit.cli.rerank import parameters
    from rerankit.tasks import task as find

    if problem is not None:
        given = read(problem, "problem")
        return given.features, (given.query_ids, given.gallery_ids)
    assert data is not None
    benchmark = find(task, **parameters(settings)).load(data)
    matrix = list(benchmark.matrices.values())[-1]
    found = {name: value.values if isinstance(value, Feature) else value for name, value in matrix.features.items()}
    return found, (matrix.query_ids, matrix.gallery_ids)


app.command()(command(hmrn))
