"""Options that several commands share, and the check of the place where a command writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
StageSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the stage; repeat it.")
]
TaskSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the task; repeat it.")
]


def check_target(path: Path, argument: str, *, force: bool, option: str = "--force", mark: str | None = None) -> None:
    """Refuse a place that is taken, unless `option` asks to replace it, and one where nothing can be written.

    A folder without a file that fits the pattern `mark` is somebody else's, and never replaced. Called before the
    work, so that no work is lost.
    """
    from rerankit.errors import rule
    from rerankit.files import check_place, check_replaceable

    taken = any(path.iterdir()) if path.is_dir() else path.exists()
    if taken and not force:
        raise rule(argument, f"must not exist, unless {option} is given to replace it", str(path))
    if mark is not None:
        check_replaceable(path, mark)
    check_place(path)
