"""`rerankit submission …`: the files that test servers score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import (
    ForceOption,
    StageSettings,
    TaskDataOption,
    TaskSettings,
    TrustOption,
    check_target,
    parameters,
    task_of,
)
from rerankit.cli._output import JsonOption, line, say, show
from rerankit.cli._run import command

app = typer.Typer(no_args_is_help=True, help="The files that the test servers of cirr and circo score.")

TaskArgument = Annotated[str, typer.Argument(help="cirr or circo.")]


@app.callback()
def submission() -> None:
    """The files that the test servers of cirr and circo score."""


def write(
    task: TaskArgument,
    run: Annotated[Path, typer.Argument(help="A run, or scores: a matrix, a problem (docs/formats.md).")],
    data: TaskDataOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the files.")],
    pipeline: Annotated[
        str | None,
        typer.Option("--pipeline", "-p", metavar="FILE", help="Re-rank by a YAML file, a saved folder or a stage."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Candidates of each query that --pipeline re-ranks.")] = 100,
    settings: StageSettings = None,
    task_settings: TaskSettings = None,
    trust: TrustOption = False,
    force: ForceOption = False,
) -> None:
    """Write what the test server takes, and read it back. The test split: --task-set split=test1 (circo: test)."""
    from rerankit.bench import contender, score_set
    from rerankit.bench.space import changed
    from rerankit.seams import splice
    from rerankit.tasks.submission import files_of, write_server_files

    benchmark = task_of(task, task_settings).load(data)
    files = files_of(benchmark)
    for each in files:
        check_target(out / f"{each.name}.json", "out", force=force)
    problem = score_set(benchmark, run).problems["scores"]
    depth = None if any(each.deep for each in files) else max(each.length for each in files)
    ranking = problem.ranking(depth)
    if pipeline is not None:
        given = parameters(settings, of_stages=True)
        (one,) = changed([contender(pipeline, trust=trust)], given, "--set")
        ranking = splice(one.pipeline.rerank(problem, ranking.top(k)), ranking)
    for path in write_server_files(benchmark, ranking, out):
        line(str(path))
    say(f"{problem.shape[0]} queries each, read back and checked")


def check(
    task: TaskArgument,
    files: Annotated[list[Path], typer.Argument(help="Files for the server.")],
    data: TaskDataOption,
    task_settings: TaskSettings = None,
    as_json: JsonOption = False,
) -> None:
    """Check files for the test server; on a split whose right answers are known, evaluate them too."""
    from rerankit.tasks.submission import read_server_file

    benchmark = task_of(task, task_settings).load(data)
    rows: list[dict[str, Any]] = []
    for path in files:
        kind, ranking = read_server_file(benchmark, path)
        row: dict[str, Any] = {"file": str(path), "is": kind.name, "queries": len(ranking), "names": kind.length}
        for part in benchmark.parts:
            row |= benchmark.evaluate(part, ranking, metrics=kind.metrics)
        rows.append(row)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    show([{name: row.get(name) for name in columns} for row in rows], as_json=as_json)
    if not benchmark.parts:
        say("this split's right answers are not public: the server evaluates")


app.command()(command(write))
app.command()(command(check))
