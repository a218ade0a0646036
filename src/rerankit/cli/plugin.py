"""`rerankit plugin …`: help for those who write plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._output import line, say
from rerankit.cli._run import command

app = typer.Typer(no_args_is_help=True, help="Help for those who write plugins.")


@app.callback()
def plugin() -> None:
    """Help for those who write plugins."""


def new(
    name: Annotated[str, typer.Argument(help="The name of the stage, such as my-idea.")],
    into: Annotated[Path, typer.Option(help="The folder in which the package's own folder is made.")] = Path(),
) -> None:
    """Write a package with one stage and its tests, which pass at once; the rest is your idea."""
    from rerankit.cli._scaffold import scaffold

    folder = scaffold(name, into)
    line(str(folder))
    say(f"next: cd {folder} && pip install -e '.[test]' && python -m pytest")


app.command()(command(new))
