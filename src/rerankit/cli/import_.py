"""`rerankit import …`: published checkpoints become stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import ForceOption, StageSettings, check_target
from rerankit.cli._output import line, say
from rerankit.cli._run import command

app = typer.Typer(no_args_is_help=True, help="Turn published checkpoints into stages.")


@app.callback()
def import_() -> None:
    """Turn published checkpoints into stages."""


def leaprr(
    file: Annotated[Path, typer.Argument(help="A checkpoint with 'state_dict'; only tensors are read, never code.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the stage.")],
    heads: Annotated[
        int | None, typer.Option(help="Attention heads; needed unless the width is the published 768.")
    ] = None,
    groups: Annotated[
        str, typer.Option(help="Order of its input columns: inter-intra or intra-inter.")
    ] = "inter-intra",
    query: Annotated[str, typer.Option(help="The query's column in each group: first or last.")] = "first",
    settings: StageSettings = None,
    force: ForceOption = False,
) -> None:
    """Import a checkpoint of the pillar reasoner (LeaPRR) as stage 'pillar'."""
    from rerankit.cli.rerank import parameters
    from rerankit.stages.pillar.checkpoint import import_leaprr

    check_target(out, "out", force=force)
    params = parameters(settings or [])
    stage = import_leaprr(file, heads=heads, groups=groups, query=query, **params)
    stage.save(out, overwrite=force)
    line(repr(stage))
    say(f"wrote {out}")


def hmrn(
    files: Annotated[
        list[Path], typer.Argument(help="One checkpoint, or one of each variant for the ensemble; no code is run.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the stage.")],
    vocabulary: Annotated[
        Path | None, typer.Option(help="Its words: vg_vocab_14284.pkl as published, or a JSON list.")
    ] = None,
    settings: StageSettings = None,
    force: ForceOption = False,
) -> None:
    """Import checkpoints of the hierarchical scorer (HMRN) as stage 'hmrn'."""
    from rerankit.cli.rerank import parameters
    from rerankit.stages.hmrn.published import load_published

    check_target(out, "out", force=force)
    stage = load_published(files, vocabulary, **parameters(settings or []))
    stage.save(out, overwrite=force)
    line(repr(stage))
    say(f"wrote {out}")


app.command()(command(leaprr))
app.command()(command(hmrn))


def triplet(
    first: Annotated[Path, typer.Argument(help="Stage I ('BLIP_Retrieval'), or plain BLIP retrieval weights.")],
    second: Annotated[
        Path | None, typer.Argument(help="Stage II ('BLIP_NLVR'); without it stage II starts from stage I, untrained.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the stage.")] = Path("triplet"),
    vocabulary: Annotated[
        Path | None, typer.Option(help="A BERT vocab.txt or its folder; without it texts are given as token ids.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads; needed unless they are 64 wide.")] = None,
    settings: StageSettings = None,
    force: ForceOption = False,
) -> None:
    """Import Candidate Set Re-ranking's checkpoints as stage 'triplet'; only tensors are read, never code."""
    from rerankit.cli.rerank import parameters
    from rerankit.stages.triplet.published import import_published

    check_target(out, "out", force=force)
    stage = import_published(first, second, vocabulary=vocabulary, heads=heads, **parameters(settings or []))
    stage.save(out, overwrite=force)
    line(repr(stage))
    say(f"wrote {out}")


app.command()(command(triplet))
