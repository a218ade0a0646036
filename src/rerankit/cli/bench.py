"""`rerankit bench`: pipelines on a benchmark task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import (
    EngineOption,
    EngineSettings,
    ShardSizeOption,
    StageSettings,
    TaskDataOption,
    TaskSettings,
    TrustOption,
    engine_from,
    parameters,
    task_of,
)
from rerankit.cli._output import JsonOption, say, show_figures, show_json

ScoresOption = Annotated[
    list[str],
    typer.Option(
        "--scores",
        metavar="FILE",
        help="One backbone's scores; repeat it. A task with several matrices: NAME=FILE,NAME=FILE.",
    ),
]
PipelinesOption = Annotated[
    list[str],
    typer.Option("--pipeline", "-p", metavar="FILE", help="A YAML file, a saved folder or a stage; repeat it."),
]
BatchSizesOption = Annotated[
    list[int] | None,
    typer.Option("--batch-size", metavar="N", help="Also answer some queries in batches of N; repeat it."),
]
TUNING = "Choose parameters on a validation split"
TuneOption = Annotated[
    Path | None,
    typer.Option(metavar="YAML", help="What to try: {stage.parameter: \\[values]}.", rich_help_panel=TUNING),
]
TrialsOption = Annotated[
    int | None, typer.Option(help="How many combinations to try; all by default.", rich_help_panel=TUNING)
]
SamplerOption = Annotated[
    str,
    typer.Option(
        help="How --trials are drawn: random, or tpe, from the figures of earlier ones.", rich_help_panel=TUNING
    ),
]
SeedOption = Annotated[int, typer.Option(help="The seed with which --trials are drawn.", rich_help_panel=TUNING)]
TuneFigureOption = Annotated[
    str | None, typer.Option(help="The figure that decides; the task's main one by default.", rich_help_panel=TUNING)
]
ValidationScoresOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="Scores of the validation split.", rich_help_panel=TUNING)
]
ValidationDataOption = Annotated[
    Path | None, typer.Option(help="Folder of the validation split; --data by default.", rich_help_panel=TUNING)
]
ValidationSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--validation-task-set",
        metavar="NAME=VALUE",
        help="A parameter of the task for the validation split; repeat it.",
        rich_help_panel=TUNING,
    ),
]


def bench(
    task: Annotated[str, typer.Argument(help="A task's name: rerankit tasks.")],
    scores: ScoresOption,
    pipelines: PipelinesOption,
    data: TaskDataOption,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of results; finished ones are kept.")] = None,
    k: Annotated[int, typer.Option("-k", help="Candidates of each query to re-rank.")] = 100,
    settings: StageSettings = None,
    task_settings: TaskSettings = None,
    figures: Annotated[
        list[str] | None, typer.Option("--figure", help="A figure of the task to show; its main one by default.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Repeat runs that are finished.")] = False,
    batch_sizes: BatchSizesOption = None,
    tune: TuneOption = None,
    trials: TrialsOption = None,
    sampler: SamplerOption = "random",
    seed: SeedOption = 0,
    tune_figure: TuneFigureOption = None,
    validation_scores: ValidationScoresOption = None,
    validation_data: ValidationDataOption = None,
    validation_settings: ValidationSettings = None,
    engine: EngineOption = None,
    engine_settings: EngineSettings = None,
    shard_size: ShardSizeOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run every pipeline on every set of scores, on the same candidates, and keep the results.

    With --tune, parameters are chosen on the validation split only and recorded with the results.
    """
    from rerankit import bench as benches
    from rerankit.bench.rows import check_figures, figure_names, names_of
    from rerankit.bench.space import changed
    from rerankit.errors import InputError

    if tune is not None and validation_scores is None:
        raise InputError("'--tune' needs --validation-scores, the scores of a split that is not tested on")
    where = engine_from(engine, engine_settings, **{"--shard-size": shard_size})
    how: dict[str, Any] = {"k": k, "out": out, "engine": where, "shard_size": shard_size}
    benchmark = task_of(task, task_settings).load(data)
    check_figures(figures or [], figure_names(benchmark) if figures else [])
    sets = [benches.score_set(benchmark, _named(text)) for text in scores]
    given = parameters(settings, of_stages=True)
    contenders = changed([benches.contender(text, trust=trust) for text in pipelines], given, "--set")
    tuning: dict[str, Any] = {}
    if tune is not None and validation_scores is not None:
        validation = task_of(task, validation_settings, "--validation-task-set").load(validation_data or data)
        plan = {"trials": trials, "seed": seed, "sampler": sampler, "figure": tune_figure, "against": benchmark}
        contenders, tuning = _tuned(contenders, tune, validation, validation_scores, {**plan, **how})
    how |= {"again": again, "tuning": tuning, "batch_sizes": batch_sizes or []}
    results = benches.bench(benchmark, sets, contenders, **how)
    if as_json:
        show_json(benches.rows(results, figures))
    else:
        rows = benches.text_rows(results, figures)
        show_figures(rows, names_of(rows))
    if any(result.looks_at.queries for result in results):
        say("note: transductive, an answer depends on the other queries of the test")


def _tuned(contenders: list[Any], path: Path, validation: Any, scores: str, plan: dict[str, Any]) -> Any:
    """The contenders with the parameters that validation likes best, and how they were chosen by label."""
    from rerankit import bench as benches
    from rerankit.errors import FormatError
    from rerankit.reading import parse_yaml, read_text

    space = parse_yaml(read_text(path, "text"), str(path))
    if not (isinstance(space, dict) and space and all(isinstance(values, list) for values in space.values())):
        raise FormatError(f"{path}: must hold {{stage.parameter: [values]}}")
    held = benches.score_set(validation, _named(scores))
    tuned: list[Any] = []
    records: dict[str, Any] = {}
    for each, own in zip(contenders, benches.spaces([one.pipeline for one in contenders], space), strict=True):
        if not own:
            say(f"nothing to choose for {each.label}")
            tuned.append(each)
            continue
        found = benches.tune(each, own, validation, held, **plan)
        say(f"chosen on validation for {each.label}: {_shown(found.record['chosen'])}")
        tuned.append(found.contender)
        records[each.label] = found.record
    return tuned, records


def _shown(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _named(text: str) -> Any:
    """A file, or files by matrix name.

    >>> _named("dress=a.npy,shirt=b.npy")
    {'dress': 'a.npy', 'shirt': 'b.npy'}
    """
    if "=" not in text:
        return text
    return dict(part.split("=", 1) for part in text.split(","))
