"""`rerankit convert`: one file format into another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._output import say


def convert(
    source: Annotated[Path, typer.Argument(help="A file or folder in any known format: docs/formats.md.")],
    target: Annotated[Path, typer.Argument(help="Where it goes; the ending says the format, none means a folder.")],
    kind: Annotated[str | None, typer.Option("--as", help="Read it as a problem, ranking, relevance or array.")] = None,
    k: Annotated[int | None, typer.Option("-k", help="Write the first K of each query of a problem as a run.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a target that exists.")] = False,
) -> None:
    """Convert a problem, a run, judgements or an array into another format."""
    from rerankit import Problem, errors, read, write
    from rerankit.formats.door import relevance_beside

    if target.exists() and not force:
        raise errors.InputError(f"'target' must not exist, or say --force (got {target})")
    value = read(source, "problem" if kind is None and k is not None else kind)
    relevance = None
    if isinstance(value, Problem):
        if k is not None:
            value = value.ranking(k)
        else:
            relevance = relevance_beside(source)
    elif k is not None:
        value = value.top(k)
    write(target, value, relevance=relevance)
    say(f"wrote {target}: {type(value).__name__}")
