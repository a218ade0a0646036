"""Options that several commands share, and the check of the place where a command writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProblemArgument = Annotated[
    str, typer.Argument(help="A folder, .npz, .safetensors, .npy …: docs/formats.md. Or an address, such as NAME:…")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Let a saved stage load the model that it names outside of its folder.")
]
StageSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the stage; repeat it.")
]
EngineOption = Annotated[
    str | None, typer.Option("--engine", metavar="NAME", help="Work in shards of queries on this engine: local, ray …")
]
EngineSettings = Annotated[
    list[str] | None, typer.Option("--engine-set", metavar="NAME=VALUE", help="A setting of the engine; repeat it.")
]
ShardSizeOption = Annotated[int | None, typer.Option("--shard-size", help="With --engine: queries of a shard (8192).")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="With --engine: go on with a run that was stopped.")]
TaskSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the task; repeat it.")
]


def check_target(
    path: Path, argument: str, *, force: bool, option: str = "--force", kept: tuple[str, ...] = ()
) -> None:
    """Refuse a place that is taken, unless `option` asks to replace it, and one where nothing can be written.

    A folder with a file that rerankit did not write is somebody else's and never replaced; files of the patterns
    `kept` stay. Called before the work, so that no work is lost.
    """
    from rerankit.files import check_free, check_place

    check_free(path, overwrite=force, argument=argument, option=option, kept=kept)
    check_place(path)
