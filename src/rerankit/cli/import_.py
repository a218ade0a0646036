"""`rerankit import …`: published checkpoints become stages."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from rerankit.cli._group import Registered
from rerankit.cli._options import ForceOption, StageSettings, check_target, parameters
from rerankit.cli._output import line, say
from rerankit.cli._run import REQUIRED, command, with_options

OutOption = Annotated[Path, typer.Option("--out", "-o", help="The folder for the stage.")]


def importing(function: Callable[..., Any]) -> Callable[..., None]:
    """A function that returns a stage, as one that saves it where --out says."""

    @wraps(function)
    def run(*args: Any, out: Path, force: bool = False, **kwargs: Any) -> None:
        from rerankit import Stage, errors

        check_target(out, "out", force=force)
        stage = function(*args, **kwargs)
        if not isinstance(stage, Stage):
            raise errors.PluginError(f"importer '{function.__name__}' must return a stage (got {stage!r})")
        stage.save(out, overwrite=force)
        line(repr(stage))
        say(f"wrote {out}")

    return with_options(run, function, {"out": (REQUIRED, OutOption), "force": (False, ForceOption)})


class Importers(Registered):
    """Importers of checkpoints."""

    kind = "importer"
    shaped = staticmethod(importing)


app = typer.Typer(no_args_is_help=True, cls=Importers, help="Turn published checkpoints into stages.")


@app.callback()
def import_() -> None:
    """Turn published checkpoints into stages."""


def pillar(
    file: Annotated[Path, typer.Argument(help="A checkpoint with 'state_dict'; only tensors are read, never code.")],
    heads: Annotated[
        int | None, typer.Option(help="Attention heads; needed unless the width is the published 768.")
    ] = None,
    groups: Annotated[
        str, typer.Option(help="Order of its input columns: inter-intra or intra-inter.")
    ] = "inter-intra",
    query: Annotated[str, typer.Option(help="The query's column in each group: first or last.")] = "first",
    settings: StageSettings = None,
) -> Any:
    """Import a checkpoint of the pillar reasoner (LeaPRR) as stage 'pillar'."""
    from rerankit.stages.pillar.published import import_published

    return import_published(file, heads=heads, groups=groups, query=query, **parameters(settings))


def hmrn(
    files: Annotated[
        list[Path], typer.Argument(help="One checkpoint, or one of each variant for the ensemble; no code is run.")
    ],
    vocabulary: Annotated[
        Path | None, typer.Option(help="Its words: vg_vocab_14284.pkl as published, or a JSON list.")
    ] = None,
    settings: StageSettings = None,
) -> Any:
    """Import checkpoints of the hierarchical scorer (HMRN) as stage 'hmrn'."""
    from rerankit.stages.hmrn.published import import_published

    return import_published(*files, vocabulary=vocabulary, **parameters(settings))


def triplet(
    first: Annotated[Path, typer.Argument(help="Stage I ('BLIP_Retrieval'), or plain BLIP retrieval weights.")],
    second: Annotated[
        Path | None,
        typer.Argument(help="Stage II ('BLIP_NLVR'); without it the stage has to be fitted before it re-ranks."),
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="A BERT vocab.txt or its folder; without it texts are given as token ids.")
    ] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads; needed unless they are 64 wide.")] = None,
    settings: StageSettings = None,
) -> Any:
    """Import Candidate Set Re-ranking's checkpoints as stage 'triplet'; only tensors are read, never code."""
    from rerankit.stages.triplet.published import import_published

    return import_published(first, second, vocabulary=vocabulary, heads=heads, **parameters(settings))


for each in (pillar, hmrn, triplet):
    app.command()(command(importing(each)))
