"""`rerankit score …`: what scores a whole gallery by itself, as backbones do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._group import Registered
from rerankit.cli._options import ForceOption, TaskSettings, check_target, task_of
from rerankit.cli._output import JsonOption, say, show
from rerankit.cli._run import REQUIRED, command, with_options

ProblemOption = Annotated[Path | None, typer.Option(help="A problem with features: docs/formats.md.")]
DataOption = Annotated[Path | None, typer.Option(help="Or the folder of a task's own files.")]
TaskOption = Annotated[str | None, typer.Option(help="The task of --data.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="A folder for scores.npy … (queries × gallery).")]


def scoring(function: Callable[..., Any], task: str | None = None) -> Callable[..., None]:
    """A function of matrices that gives scores by name, as one whose matrices come from --problem or --data and whose
    scores go where --out says.
    """

    @wraps(function)
    def run(
        *args: Any,
        out: Path,
        problem: Path | None = None,
        data: Path | None = None,
        task: str | None = task,
        settings: list[str] | None = None,
        force: bool = False,
        as_json: bool = False,
        **kwargs: Any,
    ) -> None:
        from rerankit.formats.matrix_files import write_matrices

        given = _matrices(problem, data, task, settings)
        check_target(out, "out", force=force)
        scored = _agreeing(function.__name__, given, function(given, *args, **kwargs))
        show(write_matrices(scored, out, overwrite=force), title=function.__name__, as_json=as_json)
        say(f"wrote {out}")

    options = {
        "out": (REQUIRED, OutOption),
        "problem": (None, ProblemOption),
        "data": (None, DataOption),
        "task": (task, TaskOption),
        "settings": (None, TaskSettings),
        "force": (False, ForceOption),
        "as_json": (False, JsonOption),
    }
    return with_options(run, function, options, given=1)


def _agreeing(name: str, matrices: Mapping[str, Any], scored: Any) -> Iterator[tuple[str, Any]]:
    """What a function gave, by name and of the shape that is wanted; all that was asked for must be there."""
    from rerankit.errors import PluginError
    from rerankit.scores import as_scores

    pairs = scored.items() if isinstance(scored, Mapping) else scored
    left = {key: each.shape for key, each in matrices.items()}
    try:
        for key, given in pairs:
            scores = as_scores(given, f"{key}")
            if left.pop(key, None) != scores.shape:
                shapes = ", ".join(f"{each!r} {value.shape}" for each, value in matrices.items())
                raise PluginError(
                    f"scorer '{name}' must give scores for {shapes}, each once (got {key!r} {scores.shape})"
                )
            yield key, scores
    except (TypeError, ValueError) as cause:
        if not isinstance(pairs, Iterable):
            raise PluginError(f"scorer '{name}' must give names with scores (got {type(scored).__name__})") from cause
        raise
    if left:
        raise PluginError(f"scorer '{name}' must give scores of every matrix (got none of {', '.join(left)})")


class Scorers(Registered):
    """What scores whole galleries."""

    kind = "scorer"
    shaped = staticmethod(scoring)


app = typer.Typer(no_args_is_help=True, cls=Scorers, help="Score a whole gallery with what reads features.")


@app.callback()
def score() -> None:
    """Score a whole gallery with what reads features."""


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
    features, ids = _given(problem, data, task, settings)
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
    matrices: Mapping[str, Any],
    stage: Annotated[Path, typer.Argument(help="A stage 'triplet': rerankit fit, rerankit import.")],
    images: Annotated[
        str | None, typer.Option(help="Where pictures lie, such as img_raw/{path}; the stage's own by default.")
    ] = None,
) -> Iterator[tuple[str, Any]]:
    """Score all pictures for every composed query by stage I, the first stage that stage II re-ranks.

    A task of several matrices gets a file for each, such as dress.npy.
    """
    from rerankit.stages.triplet.stage import Triplet

    loaded = Triplet.load(stage)
    loaded = loaded if images is None else loaded.clone(images=images)
    for name, each in matrices.items():
        features = each.query_features, each.gallery_features
        yield name, loaded.first_stage(*features, query_ids=each.query_ids, gallery_ids=each.gallery_ids).scores


def _given(
    problem: Path | None, data: Path | None, task: str, settings: list[str] | None
) -> tuple[Any, tuple[Any, Any]]:
    """Features of both sides, and the ids of searches and images."""
    matrix = list(_matrices(problem, data, task, settings).values())[-1]
    return (matrix.query_features, matrix.gallery_features), (matrix.query_ids, matrix.gallery_ids)


def _matrices(problem: Path | None, data: Path | None, task: str | None, settings: list[str] | None) -> Any:
    """What is to be scored, by name: anything with features and ids of both sides."""
    from rerankit import read
    from rerankit.errors import InputError

    if problem is not None and data is None:
        return {"scores": read(problem, "problem")}
    if data is not None and problem is None:
        if task is None:
            raise InputError("--data must come with --task, whose files they are")
        return task_of(task, settings).load(data).matrices
    raise InputError(f"give either --problem FILE or --data FOLDER (got {'neither' if data is None else 'both'})")


app.command()(command(hmrn))
app.command()(command(scoring(triplet, "cirr")))
