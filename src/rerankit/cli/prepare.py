"""`rerankit prepare`: a gallery in, a folder that answers queries out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._options import (
    SHARDS,
    EngineOption,
    EngineSettings,
    ForceOption,
    PipelineOption,
    ShardSizeOption,
    StageSettings,
    StagesOption,
    TrustOption,
    check_target,
    engine_from,
    ids_of,
)
from rerankit.cli._output import JsonOption, say, show


def prepare(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that is made.")],
    problem: Annotated[
        str | None, typer.Argument(help="A problem, or its address; its gallery and banks are taken.")
    ] = None,
    vectors: Annotated[Path | None, typer.Option(help="The items' vectors, without a problem.")] = None,
    ids: Annotated[Path | None, typer.Option(help="With --vectors: their ids, .txt or .npy.")] = None,
    vector_metric: Annotated[str, typer.Option(help="With --vectors: cosine, dot or euclidean.")] = "cosine",
    bank: Annotated[
        Path | None, typer.Option(help="Old queries: vectors, scores (bank × gallery), lists, or a problem.")
    ] = None,
    stages: StagesOption = None,
    settings: StageSettings = None,
    pipeline: PipelineOption = None,
    engine: EngineOption = None,
    engine_settings: EngineSettings = None,
    shard_size: ShardSizeOption = None,
    parts: Annotated[
        Path | None,
        typer.Option("--parts", help="A folder of finished shards, with which it goes on.", rich_help_panel=SHARDS),
    ] = None,
    trust: TrustOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prepare a stage for a gallery, for `rerankit query` and `rerankit serve`."""
    from rerankit import prepare as prepared
    from rerankit.cli.rerank import pipeline_of
    from rerankit.errors import InputError

    if (problem is None) == (vectors is None):
        raise InputError(f"give either PROBLEM or --vectors FILE (got {'neither' if problem is None else 'both'})")
    steps = pipeline_of(stages, settings, pipeline, trust)
    where = engine_from(engine, engine_settings, **{"--shard-size": shard_size, "--parts": parts})
    check_target(out, "out", force=force)
    gallery = (
        _of_problem(problem, bank) if problem is not None else gallery_of_vectors(vectors, ids, vector_metric, bank)
    )
    ready = prepared(steps, gallery, engine=where, parts=parts, shard_size=shard_size)
    ready.save(out, overwrite=force)
    rows = [{**row, "stage": f"{'  ' * row['depth']}{row['stage']}"} for row in ready.info()]
    show([{name: row[name] for name in row if name != "depth"} for row in rows], title=repr(gallery), as_json=as_json)
    say(f"wrote {out}")


def _of_problem(path: str, bank: Path | None) -> Any:
    from rerankit import Gallery, read
    from rerankit.formats.banks import with_bank

    given = read(path, "problem")
    return Gallery.of(given if bank is None else with_bank(given, bank, "query"))


def gallery_of_vectors(vectors: Path | None, ids: Path | None, metric: Any, bank: Path | None) -> Any:
    """A gallery of vectors, with a bank in any form that belongs to it."""
    from rerankit import Gallery, read
    from rerankit.formats.banks import with_bank
    from rerankit.scores import EmbeddingScores

    items = read(vectors, "array")  # type: ignore[arg-type]
    gallery = Gallery(items, ids=ids_of(ids), metric=metric)
    if bank is None:
        return gallery
    given = with_bank(gallery.problem(items[:1]), bank, "query").query_bank
    assert given is not None, "it was read"
    scores = given.to_gallery
    return gallery.with_bank(scores.queries if isinstance(scores, EmbeddingScores) else given.facing(None))
