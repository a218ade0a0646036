"""Options that several commands share, and the check of the place where a command writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

SHARDS = "Work in shards"
"""The heading of the help above options that go with --engine."""

ProblemArgument = Annotated[
    str, typer.Argument(help="A folder, .npz, .safetensors, .npy …: docs/formats.md. Or an address, such as NAME:…")
]
ResultsArgument = Annotated[list[Path], typer.Argument(help="Result files of `rerankit bench`, or folders of them.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Let a saved stage load the model that it names outside of its folder.")
]
StagesOption = Annotated[
    list[str] | None,
    typer.Option("--stage", "-s", help="A stage's name: rerankit stages; repeat it to run one after the other."),
]
StageSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="A parameter of the stage; of several stages, STAGE.NAME=VALUE; repeat it."
    ),
]
TaskSettings = Annotated[
    list[str] | None, typer.Option("--task-set", metavar="NAME=VALUE", help="A parameter of the task; repeat it.")
]
TaskDataOption = Annotated[Path, typer.Option("--data", help="The folder of the dataset's own files.")]
PipelineOption = Annotated[Path | None, typer.Option("--pipeline", "-p", help="A YAML file, or a saved stage.")]
ImagesOption = Annotated[
    str | None, typer.Option("--images", help="Where pictures of the gallery's items lie, such as img/{id}.png.")
]
EngineOption = Annotated[
    str | None,
    typer.Option("--engine", metavar="NAME", help="What works on the shards: local, ray …", rich_help_panel=SHARDS),
]
EngineSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-set", metavar="NAME=VALUE", help="A setting of the engine; repeat it.", rich_help_panel=SHARDS
    ),
]
ShardSizeOption = Annotated[
    int | None, typer.Option("--shard-size", help="Rows of a shard (8192).", rich_help_panel=SHARDS)
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with a run that was stopped.", rich_help_panel=SHARDS)
]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", help="The system to compare with; the first stage by default.")
]
PartsOption = Annotated[list[str] | None, typer.Option("--part", help="A part of the task; repeat it.")]
SamplesOption = Annotated[int, typer.Option("--samples", help="How many samples significance tests draw.")]
OtherCandidatesOption = Annotated[
    bool, typer.Option("--other-candidates", help="Allow results that re-ranked different candidates.")
]


def parameters(settings: list[str] | None, option: str = "--set", *, of_stages: bool = False) -> dict[str, Any]:
    """Parameters from texts `NAME=VALUE`; values are read as YAML, so 3, 0.5, true and [1, 2] are what they seem.
    With `of_stages` a name may say of which stage it is, STAGE.NAME.

    >>> parameters(["k1=20", "method=rrf", "weights=[0.5, 2]", "rate=1e-3"])
    {'k1': 20, 'method': 'rrf', 'weights': [0.5, 2], 'rate': 0.001}
    """
    from rerankit.errors import FormatError, InputError
    from rerankit.reading import parse_yaml

    found: dict[str, Any] = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not equals or not (name.rpartition(".")[2] if of_stages else name).isidentifier():
            raise InputError(f"'{option}' must be {'STAGE.' * of_stages}NAME=VALUE (got {text!r})")
        if name in found:
            raise InputError(f"'{option}' names parameter '{name}' twice")
        try:
            found[name] = parse_yaml(value)
        except FormatError:
            found[name] = value
    return found


def task_of(name: str, settings: list[str] | None, option: str = "--task-set") -> Any:
    """The task of a name, with the parameters that an option names."""
    from rerankit.tasks import task

    return task(name, **parameters(settings, option))


def ids_of(path: Path | None) -> Any:
    """The ids in a file, `.txt` with one a line or an array; None without one."""
    from rerankit import read
    from rerankit.reading import read_text

    return None if path is None else read_text(path).splitlines() if path.suffix == ".txt" else read(path, "array")


def engine_from(engine: str | None, settings: list[str] | None, **belongs: Any) -> Any:
    """The engine that options name; None where they name none, and nothing else that `belongs` to one is given."""
    from rerankit import errors
    from rerankit.engines import engine_of

    if engine is not None:
        return engine_of(engine, parameters(settings, "--engine-set"))
    given = [name for name, value in {"--engine-set": settings, **belongs}.items() if value]
    if given:
        raise errors.InputError(
            f"{' and '.join(given)} {'go' if given[1:] else 'goes'} with --engine NAME, such as local"
        )
    return None


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
