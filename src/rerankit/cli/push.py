"""`rerankit push`: a saved stage to the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rerankit.cli._options import TrustOption
from rerankit.cli._output import say


def push(
    folder: Annotated[Path, typer.Argument(help="A saved stage or pipeline, or what `rerankit prepare` wrote.")],
    repo: Annotated[str, typer.Argument(help="Where it goes, as owner/name.")],
    results: Annotated[
        list[Path] | None, typer.Option(help="Result files of `rerankit bench`, or folders of them.")
    ] = None,
    trained_on: Annotated[str | None, typer.Option(help="What it was trained on, in your words.")] = None,
    license: Annotated[str | None, typer.Option(help="Its licence, such as apache-2.0.")] = None,
    private: Annotated[bool, typer.Option("--private", help="A new repository is for you alone.")] = False,
    revision: Annotated[str | None, typer.Option(help="A branch of the repository.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the card, and send nothing.")] = False,
    trust: TrustOption = False,
) -> None:
    """Put a saved stage on the Hugging Face Hub, with a card of what is known; `hf auth login` says who you are."""
    from rerankit import hub, load
    from rerankit.reports import read_results

    what = load(folder, trust=trust)
    known = read_results(results) if results else []
    if dry_run:
        typer.echo(hub.card(what, repo, results=known, trained_on=trained_on, license=license), nl=False)
        return
    where = hub.push(
        what,
        repo,
        results=known,
        trained_on=trained_on,
        license=license,
        private=private or None,
        revision=revision,
    )
    say(f"sent {folder} to {where}; rerankit.load('hf:{repo}') reads it")
