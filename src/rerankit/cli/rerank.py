"""`rerankit rerank`: a problem in, a run out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import (
    EngineOption,
    EngineSettings,
    ForceOption,
    PipelineOption,
    ProblemArgument,
    ResumeOption,
    ShardSizeOption,
    StageSettings,
    StagesOption,
    TrustOption,
    check_target,
    engine_from,
    parameters,
)
from rerankit.cli._output import JsonOption, say, show


def rerank(
    problem: ProblemArgument,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where the run goes; the ending says the format, none is a folder.")
    ],
    stages: StagesOption = None,
    settings: StageSettings = None,
    pipeline: PipelineOption = None,
    k: Annotated[int, typer.Option("-k", help="Candidates of each query to re-rank; 0 means all.")] = 100,
    reverse: Annotated[bool, typer.Option("--reverse", help="Let the gallery look for queries.")] = False,
    bank: Annotated[
        Path | None,
        typer.Option(help="Other queries, known beforehand: scores (bank × gallery), vectors, or a problem."),
    ] = None,
    gallery_bank: Annotated[
        Path | None,
        typer.Option(help="Other gallery items: scores (bank × queries), vectors, or a problem."),
    ] = None,
    engine: EngineOption = None,
    engine_settings: EngineSettings = None,
    shard_size: ShardSizeOption = None,
    resume: ResumeOption = False,
    trust: TrustOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Re-rank the first K candidates of every query and write the run; with --engine a folder of shards."""
    from rerankit import errors, read, write
    from rerankit.formats.sources import place_of
    from rerankit.formats.writing import check_names, check_writable

    if k < 0:
        raise errors.rule("k", "must be at least 1, or 0 for the whole gallery", k)
    steps = pipeline_of(stages, settings, pipeline, trust)
    place = place_of(out)
    if isinstance(place, Path) and place.resolve() == Path(problem).resolve():
        raise errors.rule("out", "must not be the problem, which would be lost", out)
    in_shards = _in_shards(engine, engine_settings, shard_size, resume, force)
    if in_shards is None:
        if isinstance(place, Path):
            check_target(place, "out", force=force)
        check_writable(out, "ranking")  # before the work, not after it
    given = _with_banks(read(problem, "problem"), bank, gallery_bank)
    given, steps = (given.reversed(), steps.reversed()) if reverse else (given, steps)
    steps.check(given)
    if in_shards is not None:
        _run_in_shards(given, steps, k or None, Path(out), in_shards, as_json)
        return
    given = given.searching(k or None)
    started = steps.started(given) or steps
    first = given.ranking(k or None)
    check_names(out, first)
    result = started.rerank(given, first)
    write(out, result, overwrite=force)
    _report(result, steps, given, out, as_json)


def _with_banks(problem: Any, bank: Path | None, gallery_bank: Path | None) -> Any:
    from rerankit.formats.banks import with_bank

    problem = problem if bank is None else with_bank(problem, bank, "query")
    return problem if gallery_bank is None else with_bank(problem, gallery_bank, "gallery")


def _in_shards(
    engine: str | None, settings: list[str] | None, shard_size: int | None, resume: bool, force: bool
) -> dict[str, Any] | None:
    """What options say of a run in shards; None where they ask for none."""
    from rerankit import errors

    where = engine_from(engine, settings, **{"--shard-size": shard_size, "--resume": resume})
    if where is None:
        return None
    if force:
        raise errors.InputError("a run in shards replaces nothing: name a new folder, or go on with --resume")
    return {"engine": where, "shard_size": shard_size, "resume": resume}


def _run_in_shards(problem: Any, steps: Any, k: int | None, out: Path, how: dict[str, Any], as_json: bool) -> None:
    from rerankit.cli.runs import row_of
    from rerankit.runs import rerank_in_shards, status_of

    rerank_in_shards(problem, steps, k, out=out, **how)
    show([row_of(status_of(out))], title="runs", as_json=as_json)
    say(f"wrote {out}: rerankit evaluate {out} …, or rerankit convert {out} NAME.run")


def pipeline_of(names: list[str] | None, settings: list[str] | None, path: Path | None, trust: bool) -> Any:
    """The pipeline that options name: stages with their parameters, or a file."""
    from rerankit import Pipeline, errors, load, stages_available
    from rerankit.bench.space import with_values
    from rerankit.pipelines.storage import is_saved

    if (not names) == (path is None):
        raise errors.InputError(
            f"give either --stage NAME or --pipeline FILE (got {'neither' if path is None else 'both'})"
        )
    if path is None:
        return _joined(names or [], settings or [])
    if not path.exists() and str(path) in stages_available():
        raise errors.InputError(f"'pipeline' must be a file or a folder: a stage is named by --stage {path}")
    found = load(path, trust=trust) if is_saved(path) else Pipeline.from_yaml(path, trust=trust)
    return with_values(Pipeline([found]), parameters(settings, of_stages=True), "--set")


def _joined(names: list[str], settings: list[str]) -> Any:
    """A pipeline of named stages, one after the other, each with its own parameters."""
    from rerankit import Pipeline, errors, stage

    if len(names) == 1:
        own = {names[0]: [text.removeprefix(f"{names[0]}.") for text in settings]}
    elif settings and len(set(names)) < len(names):
        raise errors.InputError("--set cannot tell stages of one name apart: give --pipeline FILE.yaml")
    else:
        own = {name: [] for name in names}
        for text in settings:
            owner = next((name for name in names if text.startswith(f"{name}.")), None)
            if owner is None:
                raise errors.rule("--set", f"must say which stage it is of, {names[0]}.NAME=VALUE", repr(text))
            own[owner].append(text.removeprefix(f"{owner}."))
    return Pipeline([stage(name, **parameters(own[name])) for name in names])


def _report(result: Any, steps: Any, problem: Any, out: str, as_json: bool) -> None:
    from rerankit.errors import brief
    from rerankit.formats.notes import plain_notes

    notes = plain_notes(result.notes)
    rows = [
        {"stage": repr(each), "seconds": time, "looks at": str(each.looks_at(problem)), "out": out}
        | ({"notes": notes.get(each.name)} if as_json else {})
        for each, time in zip(steps, result.notes["seconds"], strict=True)
    ]
    show(rows, title=f"{problem.shape[0]} queries × {result.shape[1]} of {problem.shape[1]} items", as_json=as_json)
    for each in [] if as_json else steps:
        if own := notes.get(each.name):
            say(f"{each.name}: {', '.join(f'{name} {brief(value)}' for name, value in own.items())}")
    if result.notes["looks_at"].queries:
        say("note: transductive, an answer depends on the other queries of this problem")
    say(f"wrote {out}")
